//! Pictures: SVG that follows the reader's light or dark theme.
//!
//! They are drawn in the light colours; a style sheet in the picture replaces each of them where the
//! reader prefers dark. So they also show in programs that know no style sheets.

pub(crate) mod colours;

use colours::PAPER;
use plotters::coord::Shift;
use plotters::prelude::{
    Circle, Color, DrawingArea, IntoDrawingArea, IntoFont, PathElement, Polygon, RGBColor,
    Rectangle, SVGBackend, Text,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, TextStyle};

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A place, in pixels from the canvas's left and top.
pub(crate) type At = (i32, i32);

/// Paints a picture of this size. `described` is for those who cannot see it.
pub(crate) fn draw(
    (width, height): (i32, i32),
    described: &str,
    paint: impl FnOnce(&mut Canvas<'_, '_>),
) -> anyhow::Result<String> {
    let mut svg = String::new();
    {
        let size = (u32::try_from(width)?, u32::try_from(height)?);
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        let failed = |error| anyhow::anyhow!("cannot draw the picture: {error}");
        area.fill(&PAPER)
            .map_err(|error| failed(error.to_string()))?;
        let mut canvas = Canvas {
            area: &area,
            top: 0,
            error: None,
        };
        paint(&mut canvas);
        if let Some(error) = canvas.error {
            return Err(failed(error));
        }
        area.present().map_err(|error| failed(error.to_string()))?;
    }
    Ok(themed(&svg, described))
}

/// Adds the dark theme and the description.
fn themed(svg: &str, described: &str) -> String {
    let described = described.replace('&', "&amp;").replace('<', "&lt;");
    let head = format!(
        "<title>{described}</title>\n<style>{}</style>\n",
        colours::dark_style()
    );
    // The style goes behind the opening tag.
    match svg
        .find("<svg")
        .and_then(|from| svg[from..].find('>').map(|to| from + to + 1))
    {
        Some(at) => format!("{}\n{head}{}", &svg[..at], svg[at..].trim_start()),
        None => svg.to_owned(),
    }
}

/// How a text is set.
#[derive(Clone, Copy)]
pub(crate) struct Font {
    points: i32,
    colour: RGBColor,
    side: HPos,
    bold: bool,
}

impl Font {
    /// Text that begins at its place.
    pub(crate) fn new(points: i32, colour: RGBColor) -> Self {
        Self {
            points,
            colour,
            side: HPos::Left,
            bold: false,
        }
    }

    /// Text that ends at its place.
    pub(crate) fn right(self) -> Self {
        Self {
            side: HPos::Right,
            ..self
        }
    }

    /// Text whose middle is at its place.
    pub(crate) fn centred(self) -> Self {
        Self {
            side: HPos::Center,
            ..self
        }
    }

    /// Bold text.
    pub(crate) fn bold(self) -> Self {
        Self { bold: true, ..self }
    }
}

/// What is painted on. The first failure is kept and ends all painting.
pub(crate) struct Canvas<'a, 'b> {
    area: &'a Area<'b>,
    /// What is added to every y.
    pub(crate) top: i32,
    error: Option<String>,
}

impl Canvas<'_, '_> {
    /// Text, vertically centred.
    pub(crate) fn write(&mut self, at: At, text: &str, font: Font) {
        let style = if font.bold {
            FontStyle::Bold
        } else {
            FontStyle::Normal
        };
        // The backend writes 0.806 of what it is told.
        let set: TextStyle<'_> = ("sans-serif", font.points * 5 / 4, style)
            .into_font()
            .color(&font.colour)
            .pos(Pos::new(font.side, VPos::Center));
        let at = self.place(at);
        self.check(|area| area.draw(&Text::new(text.to_owned(), at, set)));
    }

    /// A filled rectangle between two corners.
    pub(crate) fn bar(&mut self, from: At, to: At, colour: RGBColor) {
        let corners = [self.place(from), self.place(to)];
        self.check(|area| area.draw(&Rectangle::new(corners, colour.filled())));
    }

    /// A line through all points.
    pub(crate) fn path(&mut self, points: Vec<At>, colour: RGBColor, width: u32) {
        let points: Vec<At> = points.into_iter().map(|at| self.place(at)).collect();
        self.check(|area| area.draw(&PathElement::new(points, colour.stroke_width(width))));
    }

    /// A filled circle.
    pub(crate) fn dot(&mut self, at: At, radius: i32, colour: RGBColor) {
        let at = self.place(at);
        self.check(|area| area.draw(&Circle::new(at, radius, colour.filled())));
    }

    /// A filled polygon.
    pub(crate) fn shape(&mut self, corners: Vec<At>, colour: RGBColor) {
        let corners: Vec<At> = corners.into_iter().map(|at| self.place(at)).collect();
        self.check(|area| area.draw(&Polygon::new(corners, colour.filled())));
    }

    fn place(&self, (x, y): At) -> At {
        (x, y + self.top)
    }

    /// Draws unless something failed before.
    fn check<E: std::error::Error>(&mut self, draw: impl FnOnce(&Area<'_>) -> Result<(), E>) {
        if self.error.is_none()
            && let Err(error) = draw(self.area)
        {
            self.error = Some(error.to_string());
        }
    }
}
