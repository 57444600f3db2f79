"""Impossible OpenDRIVE files: one error each, naming file, line, column, the value and the fix."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenarios.errors import InputError
from scenarios.formats.opendrive import load_opendrive, parse_opendrive, read_opendrive
from tests.scenarios.formats.xodr import crossroads, document, geometry, lane, road, section, to_road

NO_LANES = "".join(("<lanes>", "</lanes>"))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (document(road("1", length=0.0, plan=geometry(10.0))), "length=0 m"),
        (document(road("1", length=-5.0, plan=geometry(10.0))), "length=-5 m"),
        (document(road("1", plan=geometry(0.0))), "no length"),
        (document(road("1", plan=geometry(-3.0))), "too small"),
        (document(road("1", plan=geometry(float("nan")))), "not finite"),
        (document(road("1", plan=geometry(x=float("nan")))), "'nan' is not finite"),
        (document(road("1", plan=geometry(x=1e12))), "not a place on Earth"),
        (document(road("1", plan=geometry(shape="<bezier/>"))), r"unknown geometry \(bezier\)"),
        (document(road("1", plan=geometry(shape=""))), "unknown geometry"),
        (document(road("1", plan=geometry(shape='<arc curvature="1e9"/>'))), "turns by"),
        (document(road("1", plan=geometry(shape='<spiral curvStart="0"/>'))), "'curvEnd' is missing"),
        (document(road("1", plan="")), "no length"),
        (document(road("1", sections=[section([lane(-1, width=-2.0)])])), "a='-2.0' is a negative width"),
        (document(road("1", sections=[section([lane(-1, width=1e6)])])), "1e.06 m wide"),
        (document(road("1", sections=[section([lane(-1), lane(-1)])])), "lane id -1 is used twice"),
        (document(road("1", sections=[section([lane(1)])])), "lane id 1 is on the right"),
        (document(road("1", sections=[])), "no <laneSection>"),
        (document(road("1", sections=[section([lane(-1)], s=50.0)])), "first lane section starts at s=50"),
        (
            document(road("1", sections=[section([lane(-1)]), section([lane(-1)], s=60.0), section([lane(-1)], s=30.0)])),
            "before the section",
        ),
        (document(road("1", sections=[section([lane(-1, kind="none")])])), "no lane in the file"),
        (document(road("1"), road("1")), "road id '1' is used twice"),
        (document(road("1", link=to_road("successor", "7", "start"))), "there is no road '7'"),
        (document(road("1", link=to_road("successor", "1", "middle"))), "contactPoint='middle'"),
        (document(road("1", types='<type s="0" type="town"><speed max="fast"/></type>')), "max='fast' is not a number"),
        (document(road("1", types='<type s="0" type="town"><speed max="5" unit="knots"/></type>')), "unit='knots'"),
        (document(road("1", types='<type s="0" type="town"><speed max="5000"/></type>')), "not believable"),
        (document(road("1", elevation='<elevation s="0" a="0" b="1e300" c="1e300" d="0"/>')), "runs off to infinity"),
        (document(road("1"), minor=4, major=2), "OpenDRIVE 2.4 is not supported"),
        (document(road("1"), '<junction id="1" type="magic"/>'), "type='magic'"),
        (
            document(
                road("1"), '<junction id="1"><connection incomingRoad="1" connectingRoad="5" contactPoint="start"/></junction>'
            ),
            "no road '5'",
        ),
        (document(), "no <road>"),
        ("<OpenDRIVE/>", "no <header>"),
        ("<OpenSCENARIO/>", "root element must be <OpenDRIVE>"),
        ("<OpenDRIVE><header></OpenDRIVE>", "mismatched tag"),
    ],
)
def test_error_names_place_value_and_fix(text, what):
    with pytest.raises(InputError, match=what) as caught:
        parse_opendrive(text, name="bad.xodr")
    error = caught.value
    assert error.file == "bad.xodr"
    assert error.line is not None
    assert error.line > 0
    assert error.column is not None
    assert str(error).startswith(f"bad.xodr:{error.line}:{error.column}: ")
    assert error.fix


def test_error_points_at_the_very_element():
    text = document(road("1"), road("2", plan=geometry(shape="<bezier/>")))
    with pytest.raises(InputError) as caught:
        parse_opendrive(text, name="bad.xodr")
    line, column = caught.value.line or 0, caught.value.column or 0
    row = text.splitlines()[line - 1]
    assert row[column - 1 :].startswith("<geometry")
    assert "bezier" in row


def test_missing_lanes_element():
    text = document(road("1")).replace("<lanes>", "<lane_s>").replace("</lanes>", "</lane_s>")
    with pytest.raises(InputError, match="no <lanes>"):
        parse_opendrive(text)


def test_missing_file_and_directory(tmp_path: Path):
    with pytest.raises(InputError, match="no such file"):
        read_opendrive(tmp_path / "none.xodr")
    with pytest.raises(InputError, match="directory"):
        load_opendrive(tmp_path)


@pytest.mark.parametrize("minor", [0, 1, 3, 9])
def test_other_minor_versions_warn(minor):
    assert any(
        f"OpenDRIVE 1.{minor} is read as if" in warning for warning in parse_opendrive(document(road("1"), minor=minor)).warnings
    )


@pytest.mark.parametrize("minor", [4, 5, 6, 7, 8])
def test_known_minor_versions_do_not(minor):
    assert not parse_opendrive(document(road("1"), minor=minor)).warnings


def test_unknown_arm_names_the_nearest(tmp_path: Path):
    path = tmp_path / "cross.xodr"
    path.write_text(crossroads())
    with pytest.raises(InputError, match="Did you mean 'middle'"):
        load_opendrive(path, overrides={"midle": "stop"})
