# SPDX-License-Identifier: Apache-2.0
"""Checks a store against docs/state.md from outside, without Kelp: what is accounted for is what is there, and nothing else is."""
import json
import os
import pathlib


def _json(path, complaints):
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as e:
        complaints.append(f"{path}: {e}")
        return {}


def disk_bytes(tree):
    """Bytes on disk and bytes of content below a directory, every inode once."""
    seen, blocks, content = set(), 0, 0
    for directory, _, files in os.walk(tree):
        for path in [directory] + [os.path.join(directory, f) for f in files]:
            st = os.lstat(path)
            if (st.st_dev, st.st_ino) in seen:
                continue
            seen.add((st.st_dev, st.st_ino))
            blocks += st.st_blocks * 512
            if os.path.isfile(path) and not os.path.islink(path):
                content += st.st_size
    return blocks, content


def _near(a, b):
    return abs(a - b) <= max(a, b) * 0.01


def _layers(root, used, complaints):
    total_said = total_is = 0
    for layer in sorted((root / "layers").glob("*")) if (root / "layers").is_dir() else []:
        info = _json(layer / "info.json", complaints)
        blocks, content = disk_bytes(layer / "fs")
        total_said += info["diskBytes"] if info else 0
        total_is += blocks + sum(disk_bytes(p)[0] if p.is_dir() else p.stat().st_blocks * 512
                                 for p in (layer / "recipe", layer / "kept") if p.exists())
        if not _near(info.get("bytes", -1), content):
            complaints.append(f"layer {layer.name}: {info.get('bytes')} bytes accounted for, {content} there")
        if layer.name not in used:
            complaints.append(f"layer {layer.name}: used by no image and no container")
    if not _near(total_said, total_is):
        complaints.append(f"layers: {total_said} bytes on disk accounted for, {total_is} there")
    for name in used:
        if not (root / "layers" / name / "info.json").exists():
            complaints.append(f"layer {name} is used but missing")


def _blobs(root, complaints):
    blobs = root / "images" / "blobs" / "sha256"
    reachable = set()
    todo = [m["digest"] for m in _json(root / "images" / "index.json", complaints).get("manifests", [])]
    while todo:
        name = todo.pop().split(":")[1]
        if name in reachable:
            continue
        reachable.add(name)
        path = blobs / name
        if not path.exists():
            continue  # a layer that was not compressed: recipe and files
        if path.stat().st_size < 4 << 20:
            try:
                content = json.loads(path.read_bytes())
            except ValueError:
                continue
            if isinstance(content, dict) and isinstance(content.get("layers"), list):
                todo += [content["config"]["digest"]] + [l["digest"] for l in content["layers"]]
    for path in blobs.glob("*") if blobs.is_dir() else []:
        if path.name not in reachable:
            complaints.append(f"blob {path.name}: reachable from no manifest")


def check(root):
    """Complaints about the store below root; [] when all is well. Reads as root, or as whoever owns all files."""
    root, complaints, used = pathlib.Path(root), [], set()
    images = root / "images"
    described = {p.name.removesuffix(".json"): _json(p, complaints) for p in images.glob("run/*.json")}
    for description in described.values():
        used |= set(description.get("layers", []))
    for config in root.glob("containers/*/config.json"):
        used |= set(_json(config, complaints).get("Layers") or [])
    for ref in images.glob("refs/*"):
        image = _json(ref, complaints).get("image", "")
        if image.split(":")[-1] not in described:
            complaints.append(f"reference {ref.name}: names image {image}, which is not there")
    _layers(root, used, complaints)
    if images.is_dir() and (images / "index.json").exists():
        _blobs(root, complaints)
    for name in root.glob("names/*"):
        if not name.exists():
            complaints.append(f"name {name.name}: leads nowhere")
    complaints += [f"left in tmp: {p.name}" for p in (root / "tmp").glob("*")]
    return complaints
