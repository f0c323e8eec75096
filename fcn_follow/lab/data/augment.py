"""Augmentation of whole batches on the training device; image, mask and depth always move together.

Images are float N x 3 x H x W in 0..1, masks float N x 3 x H x W, one-hot (soft at the borders after a warp). Where
there is depth it is the masks' fourth channel, for a camera of a fixed focal length, 0 where not measured. A zoom by z
makes that focal length z times as long, so the depth becomes 1/z of what it was (`perception/depth.py`). Depth is never
averaged: there is no surface between a person and the ground behind. All random numbers come from the given
generator: the same seed gives the same batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Generator, Tensor

from fcn_follow.classes import HERO, OTHER_PEOPLE
from fcn_follow.errors import UserError
from fcn_follow.parameters import parameter

SUPERSAMPLING = 2
MASK_CHANNELS = 3
DEPTH = 3 + MASK_CHANNELS  # the depth's channel where image, mask and depth are joined
LUMINANCE_TABLE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)  # ITU-T T.81, table K.1


@dataclass(frozen=True)
class AugmentParameters:
    """How often and how much training frames are changed; with zeros everywhere they stay as they are."""

    flip: float = parameter(0.0, "share of frames mirrored", minimum=0.0, maximum=1.0)
    warp: float = parameter(0.0, "share of frames zoomed, rotated and cropped", minimum=0.0, maximum=1.0)
    zoom_out: float = parameter(1.6, "largest factor by which a warp shrinks", minimum=1.0, maximum=4.0)
    zoom_in: float = parameter(2.2, "largest factor by which a warp enlarges", minimum=1.0, maximum=8.0)
    turn_deg: float = parameter(8.0, "largest rotation by a warp", unit="deg", minimum=0.0, maximum=180.0)
    at_people: float = parameter(
        0.5,
        "share of warps that keep the hero in the frame, or another person if there is no hero",
        minimum=0.0,
        maximum=1.0,
    )
    paste_hero: float = parameter(
        0.0, "share of frames into which the hero of another frame is pasted", minimum=0.0, maximum=1.0
    )
    paste_people: float = parameter(
        0.0, "share of frames into which people of another frame are pasted", minimum=0.0, maximum=1.0
    )
    recolour_people: float = parameter(
        0.0, "share of frames in which the clothes of other people change colour", minimum=0.0, maximum=1.0
    )
    mosaic: float = parameter(0.0, "share of batches made as mosaics of four frames", minimum=0.0, maximum=1.0)
    colour: float = parameter(0.0, "share of frames with changed light and colours", minimum=0.0, maximum=1.0)
    contrast: float = parameter(0.0, "largest relative change of each frame's contrast", minimum=0.0, maximum=1.0)
    blur: float = parameter(0.0, "share of frames blurred", minimum=0.0, maximum=1.0)
    noise: float = parameter(0.0, "share of frames with noise", minimum=0.0, maximum=1.0)
    jpeg: float = parameter(0.0, "share of frames compressed again", minimum=0.0, maximum=1.0)


def to_tensors(images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """uint8 N x H x W x 3 and labels N x H x W to images in 0..1 and one-hot masks, both N x 3 x H x W."""
    one_hot = F.one_hot(labels.long(), 3).permute(0, 3, 1, 2).float()
    return images.permute(0, 3, 1, 2).float() / 255.0, one_hot


def resize(images: Tensor, size_px: int) -> Tensor:
    """Antialiased bilinear, as the score resizes."""
    if images.shape[-2:] == (size_px, size_px):
        return images
    return F.interpolate(images, (size_px, size_px), mode="bilinear", antialias=True, align_corners=False)


def resize_frames(images: Tensor, masks: Tensor, size_px: int) -> tuple[Tensor, Tensor]:
    """Images and masks, with depth where there is one, at size_px x size_px."""
    if images.shape[-2:] == (size_px, size_px):
        return images, masks
    joined = _resize_joined(torch.cat([images, masks], 1), size_px)
    return joined[:, :3], joined[:, 3:]


def normalise(images: Tensor) -> Tensor:
    """Values 0..1 to the input range of the networks, -1..1."""
    return images * 2.0 - 1.0


def rearrange(
    images: Tensor, masks: Tensor, size_px: int, parameters: AugmentParameters, generator: Generator
) -> tuple[Tensor, Tensor]:
    """A batch flipped, warped, with other people in it and so on, at size_px x size_px; `degrade` is the second half.

    Raises UserError if people are to be pasted into frames with depth: they would not stand on the ground.
    """
    if masks.shape[1] > MASK_CHANNELS and (parameters.paste_people > 0 or parameters.paste_hero > 0):
        raise UserError("augment.paste_hero and augment.paste_people must be 0 where depth is learned")
    joined = torch.cat([images, masks], 1)
    joined = _flip(joined, parameters.flip, generator)
    warped = round(len(joined) * parameters.warp)
    parts = []
    if warped:
        grid, zoom = _warp_grid(joined[:warped, 3 : 3 + MASK_CHANNELS], size_px, parameters, generator)
        parts.append(_sample(joined[:warped], grid, zoom))
    if warped < len(joined):
        parts.append(_resize_joined(joined[warped:], size_px))
    result = torch.cat(parts)
    if parameters.recolour_people > 0:
        result = _recolour_people(result, parameters.recolour_people, generator)
    if parameters.paste_people > 0:
        result = _paste(result, joined, OTHER_PEOPLE, parameters.paste_people, generator)
    if parameters.paste_hero > 0:
        result = _paste(result, joined, HERO, parameters.paste_hero, generator)
    if parameters.mosaic > 0:
        result = _mosaic(result, parameters.mosaic, generator)
    return result[:, :3], result[:, 3:]


def degrade(pictures: Tensor, parameters: AugmentParameters, generator: Generator) -> Tensor:
    """Images in other light and colours, with blur, noise and JPEG, whose size in pixels is that of these images."""
    pictures = _colour(pictures, parameters.colour, generator)
    pictures = _contrast(pictures, parameters.contrast, generator)
    pictures = _blur(pictures, parameters.blur, generator)
    pictures = _noise(pictures, parameters.noise, generator)
    pictures = _jpeg(pictures, parameters.jpeg, generator)
    return pictures.clamp(0.0, 1.0)


def _uniform(count: int, low: float, high: float, generator: Generator, device: torch.device) -> Tensor:
    return torch.rand(count, generator=generator, device=device) * (high - low) + low


def _chosen(count: int, share: float, generator: Generator, device: torch.device) -> Tensor:
    """A float mask N x 1 x 1 x 1, one for the chosen frames."""
    return (torch.rand(count, generator=generator, device=device) < share).float().view(-1, 1, 1, 1)


def _flip(joined: Tensor, share: float, generator: Generator) -> Tensor:
    chosen = _chosen(len(joined), share, generator, joined.device)
    return torch.where(chosen > 0, joined.flip(3), joined)


def _affine_grid(theta: Tensor, size_px: int) -> Tensor:
    return F.affine_grid(theta, [len(theta), 1, size_px, size_px], align_corners=False)


def _resize_joined(joined: Tensor, size_px: int) -> Tensor:
    """Images and masks averaged, depth sampled."""
    pictures, depth = joined[:, :DEPTH], joined[:, DEPTH:]
    if not depth.shape[1]:
        return resize(pictures, size_px)
    return torch.cat([resize(pictures, size_px), F.interpolate(depth, (size_px, size_px), mode="nearest-exact")], 1)


def _sample(joined: Tensor, grid: Tensor, zoom: Tensor) -> Tensor:
    """The frames sampled SUPERSAMPLING times finer than the result and averaged, against aliasing.

    Depth is sampled at the middle of each pixel and divided by the vertical zoom N.
    """
    fine = F.grid_sample(joined[:, :DEPTH], grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    pictures = F.avg_pool2d(fine, SUPERSAMPLING)
    if joined.shape[1] == DEPTH:
        return pictures
    middles = F.avg_pool2d(grid.permute(0, 3, 1, 2), SUPERSAMPLING).permute(0, 2, 3, 1)
    picked = F.grid_sample(joined[:, DEPTH:], middles, mode="nearest", padding_mode="reflection", align_corners=False)
    return torch.cat([pictures, picked / zoom.view(-1, 1, 1, 1)], 1)


def _warp_grid(
    masks: Tensor, size_px: int, parameters: AugmentParameters, generator: Generator
) -> tuple[Tensor, Tensor]:
    """Sampling grids of random zoom, rotation and crop, and the vertical zoom N, for masks N x 3 x H x W."""
    count, device = len(masks), masks.device
    zoom = torch.exp(_uniform(count, -math.log(parameters.zoom_out), math.log(parameters.zoom_in), generator, device))
    stretch = torch.exp(_uniform(count, -0.12, 0.12, generator, device))
    angle = _uniform(count, -parameters.turn_deg, parameters.turn_deg, generator, device) * (math.pi / 180.0)
    view_x, view_y = stretch / zoom, 1.0 / (stretch * zoom)
    room_x, room_y = (1.0 - view_x).clamp(min=0.0), (1.0 - view_y).clamp(min=0.0)
    centre_x = _uniform(count, -1.0, 1.0, generator, device) * room_x
    centre_y = _uniform(count, -1.0, 1.0, generator, device) * room_y
    target_x, target_y, seen = _target(masks, generator)
    aimed = seen & (torch.rand(count, generator=generator, device=device) < parameters.at_people)
    aim_x = target_x + _uniform(count, -0.7, 0.7, generator, device) * view_x
    aim_y = target_y + _uniform(count, -0.7, 0.7, generator, device) * view_y
    centre_x = torch.where(aimed, torch.minimum(torch.maximum(aim_x, -room_x), room_x), centre_x)
    centre_y = torch.where(aimed, torch.minimum(torch.maximum(aim_y, -room_y), room_y), centre_y)
    cos, sin = torch.cos(angle), torch.sin(angle)
    rows = [cos * view_x, -sin * view_y, centre_x, sin * view_x, cos * view_y, centre_y]
    return _affine_grid(torch.stack(rows, 1).view(count, 2, 3), size_px * SUPERSAMPLING), 1.0 / view_y


def _target(masks: Tensor, generator: Generator) -> tuple[Tensor, Tensor, Tensor]:
    """The target of a crop, as `_centroid` returns it: the hero or, without one, a random pixel of other people."""
    hero_x, hero_y, seen = _centroid(masks[:, HERO])
    people = masks[:, OTHER_PEOPLE]
    height, width = people.shape[1:]
    pixel = torch.multinomial(people.flatten(1) + 1e-9, 1, generator=generator)[:, 0]
    person_x, person_y = (pixel % width + 0.5) * (2.0 / width) - 1.0, (pixel // width + 0.5) * (2.0 / height) - 1.0
    shows_people = people.sum((1, 2)) > 3
    return torch.where(seen, hero_x, person_x), torch.where(seen, hero_y, person_y), seen | shows_people


def _centroid(mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The centre of a mask N x H x W in coordinates from -1 to 1 (x, y), and whether the mask shows anything."""
    height, width = mask.shape[1:]
    area = mask.sum((1, 2))
    xs = torch.linspace(-1.0, 1.0, width, device=mask.device)
    ys = torch.linspace(-1.0, 1.0, height, device=mask.device)
    safe = area.clamp(min=1.0)
    return (mask.sum(1) @ xs) / safe, (mask.sum(2) @ ys) / safe, area > 3


def _paste(result: Tensor, donors: Tensor, label: int, share: float, generator: Generator) -> Tensor:
    """Paste the people of one class from other frames of the batch into these, moved and zoomed."""
    count, device = len(result), result.device
    order = torch.randperm(len(donors), generator=generator, device=device)[:count]
    donors = donors[order]
    x, y, seen = _centroid(donors[:, 3 + label])
    zoom = torch.exp(_uniform(count, math.log(0.5), math.log(1.5), generator, device))
    target_x = _uniform(count, -0.9, 0.9, generator, device)
    target_y = _uniform(count, -0.5, 0.9, generator, device)
    zero = torch.zeros_like(zoom)
    rows = [1 / zoom, zero, x - target_x / zoom, zero, 1 / zoom, y - target_y / zoom]
    grid = _affine_grid(torch.stack(rows, 1).view(count, 2, 3), result.shape[-1] * SUPERSAMPLING)
    cut = torch.cat([donors[:, :3], donors[:, 3 + label : 4 + label]], 1)
    moved = F.avg_pool2d(
        F.grid_sample(cut, grid, mode="bilinear", padding_mode="zeros", align_corners=False), SUPERSAMPLING
    )
    alpha = moved[:, 3:] * seen.float().view(-1, 1, 1, 1) * _chosen(count, share, generator, device)
    one_hot = torch.zeros(1, 3, 1, 1, device=device)
    one_hot[0, label] = 1.0
    pictures = result[:, :3] * (1 - alpha) + moved[:, :3] * alpha
    return torch.cat([pictures, result[:, 3:] * (1 - alpha) + one_hot * alpha], 1)


def _recolour_people(result: Tensor, share: float, generator: Generator) -> Tensor:
    """Other people darker or brighter, tinted, and with colour channels in a random order; all of a frame alike."""
    count, device = len(result), result.device
    alpha = result[:, 3 + OTHER_PEOPLE : 4 + OTHER_PEOPLE] * _chosen(count, share, generator, device)
    order = torch.rand(count, 3, generator=generator, device=device).argsort(1).view(count, 3, 1, 1)
    tint = torch.exp(_uniform(3 * count, -0.5, 0.5, generator, device).view(count, 3, 1, 1))
    light = torch.exp(_uniform(count, -1.0, 0.4, generator, device).view(count, 1, 1, 1))
    pictures = result[:, :3]
    recoloured = pictures.gather(1, order.expand_as(pictures)) * tint * light
    return torch.cat([pictures * (1 - alpha) + recoloured.clamp(max=1.0) * alpha, result[:, 3:]], 1)


def _mosaic(result: Tensor, share: float, generator: Generator) -> Tensor:
    """Frames whose four quarters, around a common random point, come from four frames of the batch."""
    size, device = result.shape[-1], result.device
    cut_x, cut_y = (_uniform(2, 0.3, 0.7, generator, device) * size).view(2, 1, 1)
    places = torch.arange(size, device=device)
    right, below = (places >= cut_x).view(1, 1, 1, size), (places >= cut_y).view(1, 1, size, 1)
    chosen = _chosen(1, share, generator, device) > 0  # stays on the device: an if would wait for the GPU
    for quarter, shift in ((right & ~below, 1), (below & ~right, 2), (below & right, 3)):
        result = torch.where(chosen & quarter, result.roll(shift, 0), result)
    return result


def _colour(pictures: Tensor, share: float, generator: Generator) -> Tensor:
    """Brightness, contrast, saturation, white balance and gamma."""
    if share <= 0:
        return pictures
    count, device = len(pictures), pictures.device

    def factor(spread: float, channels: int = 1) -> Tensor:
        return torch.exp(_uniform(count * channels, -spread, spread, generator, device)).view(count, channels, 1, 1)

    changed = pictures * factor(0.3) * factor(0.06, 3)
    mean = changed.mean((1, 2, 3), keepdim=True)
    changed = (changed - mean) * factor(0.3) + mean
    grey = changed.mean(1, keepdim=True)
    changed = (changed - grey) * factor(0.35) + grey
    changed = changed.clamp(1e-4, 1.0) ** factor(0.25)
    return torch.where(_chosen(count, share, generator, device) > 0, changed, pictures)


def _contrast(pictures: Tensor, spread: float, generator: Generator) -> Tensor:
    """Each picture stretched about its mean luma (ITU-R BT.601)."""
    if spread <= 0:
        return pictures
    luma = pictures.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    mean = (pictures * luma).sum(1, keepdim=True).mean((2, 3), keepdim=True)
    factor = _uniform(len(pictures), 1.0 - spread, 1.0 + spread, generator, pictures.device).view(-1, 1, 1, 1)
    return (pictures - mean) * factor + mean


def _blur(pictures: Tensor, share: float, generator: Generator) -> Tensor:
    """Gaussian blur of the chosen frames, of one random width for the batch."""
    if share <= 0:
        return pictures
    sigma = _uniform(1, 0.3, 1.0, generator, pictures.device)
    offsets = torch.arange(-2.0, 3.0, device=pictures.device)
    kernel = torch.exp(-(offsets**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).view(1, 1, 1, 5).repeat(3, 1, 1, 1)
    padded = F.pad(pictures, (2, 2, 2, 2), mode="reflect")
    blurred = F.conv2d(F.conv2d(padded, kernel, groups=3), kernel.transpose(2, 3), groups=3)
    return torch.where(_chosen(len(pictures), share, generator, pictures.device) > 0, blurred, pictures)


def _noise(pictures: Tensor, share: float, generator: Generator) -> Tensor:
    if share <= 0:
        return pictures
    strength = _uniform(len(pictures), 0.0, 0.04, generator, pictures.device).view(-1, 1, 1, 1)
    noise = torch.randn(pictures.shape, generator=generator, device=pictures.device) * strength
    return pictures + noise * _chosen(len(pictures), share, generator, pictures.device)


def _jpeg(pictures: Tensor, share: float, generator: Generator) -> Tensor:
    """JPEG's quantised 8x8 cosine transform on each colour channel, at a random quality, without its chroma planes."""
    height, width = pictures.shape[2:]
    if share <= 0 or height % 8 or width % 8:
        return pictures
    device = pictures.device
    k = torch.arange(8.0, device=device)
    basis = torch.cos((2 * k[None] + 1) * k[:, None] * math.pi / 16) * 0.5
    basis[0] /= math.sqrt(2.0)
    table = torch.tensor(LUMINANCE_TABLE, device=device, dtype=torch.float32)
    step = table * _uniform(len(pictures), 0.1, 0.8, generator, device).view(-1, 1, 1, 1, 1, 1)
    blocks = pictures.reshape(len(pictures), 3, height // 8, 8, width // 8, 8).transpose(3, 4) * 255.0 - 128.0
    coefficients = torch.round((basis @ blocks @ basis.T) / step) * step
    restored = ((basis.T @ coefficients @ basis).transpose(3, 4).reshape(pictures.shape) + 128.0) / 255.0
    return torch.where(_chosen(len(pictures), share, generator, device) > 0, restored, pictures)
