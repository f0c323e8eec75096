"""The three classes of a label mask; a blob of the hero is what the drone follows."""

BACKGROUND, OTHER_PEOPLE, HERO = 0, 1, 2
