"""Pictures of high dynamic range on a screen of standard range: PQ and HLG become sRGB with the primaries of BT.709.

Models are trained on pictures of standard range; one of high range that is read as if it were one comes out grey. The
operator is the electrical-electrical transfer function (EETF) of Report ITU-R BT.2390-11, section 5.4.1, from a
mastering display of 1,000 cd/m2 to the reference white of Report ITU-R BT.2408, 203 cd/m2, applied to the largest of
red, green and blue so that hues stay. Up to about 100 cd/m2 it changes nothing. A code of 16 bits is read by its upper
12, which is what such videos are made with at most.
"""

from typing import Literal

import numpy as np
from jaxtyping import Float32, Float64, UInt8, UInt16

Transfer = Literal["pq", "hlg"]
Plane = Float32[np.ndarray, "rows columns"]

# Transfer characteristics of ITU-T H.273, table 3.
TRANSFERS: dict[int, Transfer] = {16: "pq", 18: "hlg"}
REFERENCE_WHITE = 203.0
MASTERING_PEAK = 1000.0
# The inverse of HLG's OETF, Recommendation ITU-R BT.2100, table 5.
HLG_A, HLG_B, HLG_C = 0.17883277, 0.28466892, 0.55991073
# Its OOTF for a display of 1,000 cd/m2.
HLG_GAMMA = 1.2
BT2020_LUMA = (0.2627, 0.6780, 0.0593)
# Report ITU-R BT.2407, section 2: linear light of BT.2020 in the primaries of BT.709.
BT2020_TO_BT709 = (
    (1.660491, -0.587641, -0.072850),
    (-0.124550, 1.132900, -0.008349),
    (-0.018151, -0.100579, 1.118730),
)
_PQ_PEAK = 10_000.0
_LEVELS = 4096


def pq_to_light(signal: Float64[np.ndarray, " N"]) -> Float64[np.ndarray, " N"]:
    """Light in cd/m2 of a PQ signal between 0 and 1: the EOTF of SMPTE ST 2084 and of BT.2100, table 4."""
    power = signal ** (1 / (2523 / 32))
    above = np.maximum(power - 3424 / 4096, 0)
    return np.asarray(_PQ_PEAK * (above / (2413 / 128 - 2392 / 128 * power)) ** (1 / (2610 / 16384)))


def light_to_pq(light: Float64[np.ndarray, " N"]) -> Float64[np.ndarray, " N"]:
    """The PQ signal of light in cd/m2, the inverse of ``pq_to_light``."""
    power = (light / _PQ_PEAK) ** (2610 / 16384)
    return np.asarray(((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32))


def compress_light(light: Float64[np.ndarray, " N"]) -> Float64[np.ndarray, " N"]:
    """Compress light in cd/m2 from the mastering display's range into that below reference white."""
    white = light_to_pq(np.array([MASTERING_PEAK]))
    signal = np.minimum(light_to_pq(light) / white, 1)
    highest = light_to_pq(np.array([REFERENCE_WHITE])) / white
    knee = 1.5 * highest - 0.5
    t = np.maximum(signal - knee, 0) / (1 - knee)
    bent = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * highest
    return pq_to_light(np.where(signal < knee, signal, bent) * white)


def tone_map(
    picture: UInt16[np.ndarray, "H W 3"], *, transfer: Transfer, is_bt2020: bool
) -> UInt8[np.ndarray, "H W 3"]:
    """Turn an RGB picture of 16 bits, full range, into one of standard range; without BT.2020 its primaries stay."""
    codes = picture >> 4
    planes = [_LIGHT[transfer][codes[..., channel]] for channel in range(3)]
    if transfer == "hlg":
        luma = sum((weight * plane for weight, plane in zip(BT2020_LUMA, planes, strict=True)), np.float32(0))
        planes = [plane * _look_up(_HLG_SYSTEM_GAIN, np.sqrt(luma)) for plane in planes]
    largest = np.maximum(np.maximum(planes[0], planes[1]), planes[2])
    gain = _look_up(_EETF_GAIN, np.sqrt(np.sqrt(largest * np.float32(1 / _PQ_PEAK))))
    planes = [plane * gain for plane in planes]
    if is_bt2020:
        planes = [_mix(row, planes) for row in BT2020_TO_BT709]
    return np.stack([_look_up(_SRGB, plane) for plane in planes], axis=-1)


def _mix(weights: tuple[float, float, float], planes: list[Plane]) -> Plane:
    return np.asarray(sum(np.float32(weight) * plane for weight, plane in zip(weights, planes, strict=True)))


def _look_up(table: np.ndarray, position: Plane) -> np.ndarray:
    """Look up the nearest of a table's evenly spaced entries; positions are clipped to 0 and 1."""
    return np.asarray(
        table[(position * np.float32(_LEVELS - 1) + np.float32(0.5)).clip(0, _LEVELS - 1).astype(np.uint16)]
    )


def _hlg_to_scene(signal: Float64[np.ndarray, " N"]) -> Float64[np.ndarray, " N"]:
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - HLG_C) / HLG_A) + HLG_B) / 12)


def _eetf_gain(light: Float64[np.ndarray, " N"]) -> Float64[np.ndarray, " N"]:
    """What light in cd/m2 is multiplied by to become a share of reference white."""
    return compress_light(light) / np.maximum(light, 1e-6) / REFERENCE_WHITE


def _srgb(light: Float64[np.ndarray, " N"]) -> Float64[np.ndarray, " N"]:
    """Encode light from 0 to 1 by IEC 61966-2-1."""
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)


# Tables, as powers and logarithms cost ten times as much; every one has _LEVELS entries, over positions from 0 to 1.
_POSITIONS = np.linspace(0, 1, _LEVELS)
_LIGHT: dict[Transfer, Float32[np.ndarray, " levels"]] = {
    "pq": pq_to_light(_POSITIONS).astype(np.float32),
    "hlg": _hlg_to_scene(_POSITIONS).astype(np.float32),
}
_HLG_SYSTEM_GAIN = (MASTERING_PEAK * _POSITIONS ** (2 * (HLG_GAMMA - 1))).astype(np.float32)
_EETF_GAIN = _eetf_gain(_PQ_PEAK * _POSITIONS**4).astype(np.float32)
_EETF_GAIN[0] = _EETF_GAIN[1]
_SRGB = np.round(255 * _srgb(_POSITIONS)).astype(np.uint8)
