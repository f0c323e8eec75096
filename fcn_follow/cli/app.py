"""The subcommands, gathered."""

from __future__ import annotations

import typer

from fcn_follow.cli import (
    bag_scoring,
    bags,
    bench,
    calibration,
    export,
    find_lr,
    gazebo,
    keras,
    models,
    parameters,
    results,
    scoring,
    simulation,
    synthesis,
    training,
    weights_page,
)

app = typer.Typer(
    name="fcn-follow",
    help="Train, score and look at the networks that let a drone follow one person.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("models")(models.models)
app.command("train")(training.train)
app.command("find-lr")(find_lr.find_lr)
app.command("results")(results.results)
app.command("weights-page")(weights_page.weights_page)
app.command("score")(scoring.score)
app.command("calibrate")(calibration.calibrate)
app.command("bag-info")(bags.bag_info)
app.command("score-bag")(bag_scoring.score_recording)
app.command("label")(bag_scoring.label)
app.command("frames-to-bag")(bags.folder_to_bag)
app.command("bag-to-frames")(bags.bag_to_folder)
app.command("import-keras")(keras.import_keras)
app.command("export")(export.export_network)
app.command("fly")(simulation.fly)
app.command("synthesize")(synthesis.synthesize)
app.command("pictures")(synthesis.pictures)
app.command("gazebo-assets")(gazebo.gazebo_assets)
app.command("bench")(bench.bench)
app.command("parameters")(parameters.parameters)
