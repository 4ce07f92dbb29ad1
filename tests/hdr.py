"""Pictures of standard range as a mastering suite puts them into PQ and HLG: white at 203 cd/m2 (ITU-R BT.2408)."""

import numpy as np
from av.video.frame import VideoFrame
from jaxtyping import Float64, UInt8, UInt16

from service.contract.tone_mapping import BT2020_TO_BT709, HLG_A, HLG_B, HLG_C, REFERENCE_WHITE, Transfer, light_to_pq

BT2020_PRIMARIES, BT2020_MATRIX, LIMITED = 9, 9, 1
TRANSFER_NUMBERS: dict[Transfer, int] = {"pq": 16, "hlg": 18}
X265_NAMES: dict[Transfer, str] = {"pq": "smpte2084", "hlg": "arib-std-b67"}


def encode_hdr(
    picture: UInt8[np.ndarray, "H W 3"], *, transfer: Transfer, white: float = REFERENCE_WHITE
) -> UInt16[np.ndarray, "H W 3"]:
    """Encode an sRGB picture in the primaries of BT.2020; ``white`` is how bright its white becomes, in cd/m2."""
    signal = picture / 255
    linear = np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)
    light = linear @ np.linalg.inv(np.array(BT2020_TO_BT709)).T * white
    encoded = light_to_pq(light.clip(0).ravel()).reshape(light.shape) if transfer == "pq" else light_to_hlg(light)
    return np.round(encoded.clip(0, 1) * 65535).astype(np.uint16)


def light_to_hlg(light: Float64[np.ndarray, "H W 3"]) -> Float64[np.ndarray, "H W 3"]:
    """Encode light of a display of 1,000 cd/m2 by ITU-R BT.2100, table 5: inverse OOTF, then OETF."""
    display = light.clip(1e-6) / 1000
    scene = display * (display @ np.array([0.2627, 0.6780, 0.0593]))[..., None] ** (1 / 1.2 - 1)
    logarithmic = HLG_A * np.log((12 * scene - HLG_B).clip(1e-9)) + HLG_C
    return np.asarray(np.where(scene <= 1 / 12, np.sqrt(3 * scene), logarithmic))


def make_hdr_frame(picture: UInt16[np.ndarray, "H W 3"], *, transfer: Transfer) -> VideoFrame:
    """Make the frame that an encoder takes, marked with its colours."""
    frame = VideoFrame.from_ndarray(picture, format="rgb48le")
    frame = frame.reformat(format="yuv420p10le", dst_colorspace=BT2020_MATRIX, dst_color_range=LIMITED)
    frame.colorspace, frame.color_range = BT2020_MATRIX, LIMITED
    frame.color_trc, frame.color_primaries = TRANSFER_NUMBERS[transfer], BT2020_PRIMARIES
    return frame


def x265_colours(transfer: Transfer) -> str:
    """Name the colours in the parameters of x265."""
    return f"log-level=none:colorprim=bt2020:transfer={X265_NAMES[transfer]}:colormatrix=bt2020nc:range=limited"
