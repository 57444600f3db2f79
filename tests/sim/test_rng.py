"""Counter-based randomness: known values, independence of its keys, distributions, and kernels equal to plain integers."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from sim.jit import kernel
from sim.rng import Purpose, draw_bits, generator, normal, uniform

MASK = 2**64 - 1
keys = st.tuples(*[st.integers(-(2**63), 2**63 - 1)] * 6)


def mix_of_plain_integers(key: int, value: int) -> int:
    """SplitMix64's finaliser on Python's unbounded integers."""
    z = ((key & MASK) ^ (value & MASK)) + 0x9E3779B97F4A7C15 & MASK
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
    return z ^ z >> 31


def bits_of_plain_integers(*all_keys: int) -> int:
    mixed = all_keys[0]
    for value in all_keys[1:]:
        mixed = mix_of_plain_integers(mixed, value)
    return mixed


@kernel
def many_uniforms(out: np.ndarray, seed: int, agent: int, purpose: int) -> None:
    for index in range(out.shape[0]):
        out[index] = uniform(seed, 0, 0, agent, purpose, index)


@kernel
def many_normals(out: np.ndarray, seed: int) -> None:
    for index in range(out.shape[0]):
        out[index] = normal(seed, 0, 0, 0, 1, index)


def uniforms(seed: int, agent: int = 0, purpose: int = 1, count: int = 20000) -> np.ndarray:
    out = np.empty(count)
    many_uniforms(out, seed, agent, purpose)
    return out


@pytest.mark.parametrize(
    ("all_keys", "bits"),
    [
        ((0, 0, 0, 0, 0, 0), 0x78AE5A9A6B5FD45E),
        ((1, 2, 3, 4, 5, 6), 0x0C2B5815EEA80EBF),
        ((-7, 1, 10**6, 31, 13, 2), 0xB098732CEA65D466),
    ],
)
def test_known_values_never_change(all_keys, bits):
    assert int(draw_bits(*all_keys)) == bits


def test_the_mixer_is_splitmix64():
    # First two outputs of the published generator from state 0, which adds the golden ratio before each mix.
    assert mix_of_plain_integers(0, 0) == 0xE220A8397B1DCDAF
    assert mix_of_plain_integers(0x9E3779B97F4A7C15, 0) == 0x6E789E6AA1B965F4


@given(keys)
def test_kernel_equals_plain_integers(all_keys):
    assert int(draw_bits(*all_keys)) == bits_of_plain_integers(*all_keys)


@given(keys)
def test_uniform_lies_in_the_half_open_unit_interval(all_keys):
    draw = uniform(*all_keys)
    assert 0.0 <= draw < 1.0
    assert draw == (bits_of_plain_integers(*all_keys) >> 11) / 2**53


@given(keys.filter(lambda k: k[5] < 2**61 and k[5] > -(2**61)))
def test_normal_is_box_muller_of_two_uniforms(all_keys):
    *stream, index = all_keys
    first, second = (uniform(*(*stream, 2 * index + offset)) for offset in (0, 1))
    expected = math.sqrt(-2.0 * math.log(1.0 - first)) * math.cos(2.0 * math.pi * second)
    assert normal(*all_keys) == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_draws_do_not_depend_on_their_order():
    order = list(itertools.product(range(3), range(3), range(3), range(3)))
    forwards = {key: uniform(9, *key, 0) for key in order}
    backwards = {key: uniform(9, *key, 0) for key in reversed(order)}
    assert forwards == backwards
    assert len(set(forwards.values())) == len(order), "every key has a draw of its own"


def test_uniforms_are_uniform_and_uncorrelated():
    draws = uniforms(seed=3)
    assert stats.kstest(draws, "uniform").pvalue > 0.01
    for lag in (1, 2, 7):
        assert abs(np.corrcoef(draws[:-lag], draws[lag:])[0, 1]) < 4.0 / math.sqrt(len(draws))


def test_normals_are_normal():
    out = np.empty(20000)
    many_normals(out, 4)
    assert stats.kstest(out, "norm").pvalue > 0.01


def test_neighbouring_seeds_agents_and_purposes_are_uncorrelated():
    streams = [uniforms(seed, agent, purpose) for seed in (0, 1) for agent in (0, 1) for purpose in (1, 2, 3)]
    between = np.corrcoef(streams) - np.eye(len(streams))
    assert np.abs(between).max() < 4.5 / math.sqrt(len(streams[0]))


def test_every_purpose_is_a_stream_of_its_own():
    assert len({int(purpose) for purpose in Purpose}) == len(Purpose)
    assert len({uniform(5, 0, 7, 1, int(purpose), 0) for purpose in Purpose}) == len(Purpose)


@pytest.mark.parametrize("position", range(6))
def test_each_key_changes_about_half_of_the_bits(position):
    flipped = []
    for base in range(200):
        all_keys = [base, 1, 2, 3, 4, 5]
        changed = list(all_keys)
        changed[position] += 1
        flipped.append((int(draw_bits(*all_keys)) ^ int(draw_bits(*changed))).bit_count())
    assert 30.0 < np.mean(flipped) < 34.0
    assert min(flipped) > 8


def test_generator_is_keyed_like_the_kernels():
    first = generator(11, Purpose.SCENARIO, 2).random(4)
    assert first.tolist() == generator(11, Purpose.SCENARIO, 2).random(4).tolist()
    others = [generator(12, Purpose.SCENARIO, 2), generator(11, Purpose.STYLE, 2), generator(11, Purpose.SCENARIO, 3)]
    assert all(first[0] != other.random() for other in others)
    assert generator(-1, Purpose.SCENARIO).random() == generator(2**64 - 1, Purpose.SCENARIO).random()
