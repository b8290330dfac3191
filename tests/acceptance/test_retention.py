"""Pruning a store that is shared: only one's own packages are weighed, each label by itself."""

import json

from tests.services import MakeProject, Project


def names(project: Project) -> set[str]:
    return {package["name"] for package in project.json("list_packages")["packages"]}


def disguise(into: Project, name: str, new: str, **values: str) -> None:
    """Put a copy of a package into the store that says something else of itself."""
    stem, ending = name.split(".", 1)
    (into.store / f"{new}.{ending}").write_bytes((into.store / name).read_bytes())
    sidecar = json.loads((into.store / f"{stem}.json").read_text())
    sidecar |= {"name": f"{new}.{ending}", **values}
    (into.store / f"{new}.json").write_text(json.dumps(sidecar))


def test_a_backup_prunes_when_it_is_done_package_and_sidecar(make_project: MakeProject) -> None:
    project = make_project("sqlite")
    for number in range(4):
        project.succeed("create_backup", "--type", "files")
        assert len(names(project)) == min(number + 1, 3)  # of one day
    assert len(list(project.store.iterdir())) == 9  # each with its sidecar and its standing


def test_pruning_keeps_others_packages_and_weighs_labels_apart(make_project: MakeProject) -> None:
    """P2: cleaning up deleted other databases' and other hosts' backups. A safety backup does not
    push a nightly one out either."""
    project = make_project("sqlite")
    project.succeed("create_backup", "--type", "files", "--label", "mine")
    (own,) = names(project)
    for day in range(1, 10):
        moment = f"2020-01-0{day}T00:00:00+00:00"
        disguise(project, own, f"safe-{day}", label="safety", created_at=moment)
        disguise(project, own, f"theirs-{day}", project="theirs", created_at=moment)
        if day < 5:
            disguise(project, own, f"old-{day}", created_at=moment)
    (project.store / "notes.txt").write_text("somebody's own")
    before = names(project)

    would = set(project.json("prune_packages", "--dry-run")["removed"])
    assert names(project) == before
    removed = set(project.json("prune_packages")["removed"])

    # Seven days are kept: of nine safety packages two are too old, of five of ours none is.
    assert removed == would == {"safe-1.tar.zst", "safe-2.tar.zst"}
    assert names(project) == before - removed
    assert not (project.store / "safe-1.json").exists()
    assert (project.store / "notes.txt").read_text() == "somebody's own"
