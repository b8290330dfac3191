"""Makes screenshots small: the 256 colours that a page uses most are all that it needs.

The browser that took the picture counts its colours and puts the nearest of the palette in the
place of the rest, which are shades at the edges of letters. A third of the size is left.
"""

import base64
import struct
import zlib

from selenium.webdriver import Chrome

_SCRIPT = """
const [png, done] = arguments;
const draw = async () => {
    const blob = await (await fetch(`data:image/png;base64,${png}`)).blob();
    const image = await createImageBitmap(blob);
    const canvas = new OffscreenCanvas(image.width, image.height).getContext('2d');
    canvas.drawImage(image, 0, 0);
    const bytes = canvas.getImageData(0, 0, image.width, image.height).data;
    const pixels = new Uint32Array(bytes.buffer).map(pixel => pixel & 0xffffff);
    const uses = new Map();
    for (const pixel of pixels) uses.set(pixel, (uses.get(pixel) ?? 0) + 1);
    const palette = [...uses].sort((a, b) => b[1] - a[1]).slice(0, 256).map(([pixel]) => pixel);
    const part = (pixel, place) => pixel >> (8 * place) & 255;
    const apart = (a, b) => [0, 1, 2].reduce((s, p) => s + (part(a, p) - part(b, p)) ** 2, 0);
    const nearest = pixel => palette.reduce((best, _, place) =>
        apart(pixel, palette[place]) < apart(pixel, palette[best]) ? place : best, 0);
    const places = new Map(palette.map((pixel, place) => [pixel, place]));
    const rows = pixels.map(pixel => {
        if (!places.has(pixel)) places.set(pixel, nearest(pixel));
        return places.get(pixel);
    });
    const text = values => {
        let made = '';
        for (let at = 0; at < values.length; at += 8192)
            made += String.fromCharCode(...values.slice(at, at + 8192));
        return btoa(made);
    };
    const colours = palette.flatMap(pixel => [0, 1, 2].map(place => part(pixel, place)));
    return [image.width, image.height, text(colours), text(rows)];
};
draw().then(done, error => done(String(error)));
"""


def with_palette(driver: Chrome, png: bytes) -> bytes:
    """Return the picture with at most 256 colours; `driver` has a page open, any page.

    Raises ValueError with the browser's words if it can't read the picture.
    """
    answer = driver.execute_async_script(_SCRIPT, base64.b64encode(png).decode())
    if isinstance(answer, str):
        raise ValueError(answer)
    width, height, colours, pixels = answer
    rows = base64.b64decode(pixels)
    lines = b"".join(b"\0" + rows[at : at + width] for at in range(0, len(rows), width))
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", base64.b64decode(colours)),
        (b"IDAT", zlib.compress(lines, 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))
