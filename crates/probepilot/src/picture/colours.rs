//! The colours by their meaning, light and dark.

use plotters::style::RGBColor;
use std::fmt::Write as _;

pub(crate) const PAPER: RGBColor = RGBColor(0xff, 0xff, 0xff);
pub(crate) const INK: RGBColor = RGBColor(0x1f, 0x23, 0x28);
pub(crate) const MUTED: RGBColor = RGBColor(0x59, 0x63, 0x6e);
pub(crate) const GRID: RGBColor = RGBColor(0xe4, 0xe8, 0xec);
pub(crate) const GREY: RGBColor = RGBColor(0x81, 0x8b, 0x98);
pub(crate) const BAND: RGBColor = RGBColor(0xff, 0xd8, 0xd3);
/// Starting, or a matter of luck.
pub(crate) const AMBER: RGBColor = RGBColor(0xb5, 0x76, 0x14);
/// Healthy.
pub(crate) const GREEN: RGBColor = RGBColor(0x1a, 0x7f, 0x37);
/// Guaranteed.
pub(crate) const BLUE: RGBColor = RGBColor(0x09, 0x69, 0xda);
/// Failed, or killed.
pub(crate) const RED: RGBColor = RGBColor(0xcf, 0x22, 0x2e);

/// What it costs.
pub(crate) const PURPLE: RGBColor = RGBColor(0x82, 0x50, 0xdf);

/// Each light colour and what stands for it on a dark page.
const DARK: [(RGBColor, RGBColor); 11] = [
    (PAPER, RGBColor(0x0d, 0x11, 0x17)),
    (INK, RGBColor(0xf0, 0xf6, 0xfc)),
    (MUTED, RGBColor(0x9f, 0xa8, 0xb3)),
    (GRID, RGBColor(0x2a, 0x31, 0x3a)),
    (GREY, RGBColor(0x6e, 0x76, 0x81)),
    (BAND, RGBColor(0x4b, 0x1a, 0x1d)),
    (AMBER, RGBColor(0xd2, 0x99, 0x22)),
    (GREEN, RGBColor(0x3f, 0xb9, 0x50)),
    (BLUE, RGBColor(0x44, 0x93, 0xf8)),
    (RED, RGBColor(0xf8, 0x51, 0x49)),
    (PURPLE, RGBColor(0xab, 0x7d, 0xf8)),
];

/// The style sheet that turns the picture dark for those who prefer it.
pub(crate) fn dark_style() -> String {
    let mut style = "@media (prefers-color-scheme: dark) {".to_owned();
    for (light, dark) in DARK {
        let (light, dark) = (hex(light), hex(dark));
        let _ = write!(
            style,
            " [fill=\"{light}\"] {{ fill: {dark} }} [stroke=\"{light}\"] {{ stroke: {dark} }}"
        );
    }
    style + " }"
}

/// As the SVG backend writes it.
fn hex(colour: RGBColor) -> String {
    format!("#{:02X}{:02X}{:02X}", colour.0, colour.1, colour.2)
}
