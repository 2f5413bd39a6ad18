//! The report of a run: one HTML file that needs nothing else, neither network nor scripts.
//!
//! Pictures are embedded as base64, the plot is inline SVG and the style sheet is part of the
//! file, so that a report can be mailed, archived and printed. All text from outside is escaped.

mod format;
mod residual_plot;

use std::fmt::Write;

use format::{base64, bytes, escape, grouped, scientific, seconds};

const STYLE: &str = include_str!("report/style.css");

/// Beyond this number of ranks, their table is folded.
const RANKS_SHOWN: usize = 16;

/// Everything that a report tells.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// Heading.
    pub title: String,
    /// Settings of the run: names and values, in the order of reading.
    pub settings: Vec<(String, String)>,
    /// Samples of all detectors.
    pub samples: u64,
    /// Number of detectors.
    pub detectors: u64,
    /// Baselines of all detectors; `None` if the map is only binned.
    pub baselines: Option<u64>,
    /// Pixels with at least one sample.
    pub pixels_seen: u64,
    /// Pixels with a solution.
    pub pixels_solved: u64,
    /// Parts of the timelines: name, samples and pixels with a solution.
    pub parts: Vec<(String, [u64; 2])>,
    /// Summary of the iteration; `None` if there was none.
    pub solves: Vec<Solve>,
    /// Wall time of the whole run, in seconds.
    pub wall_time: f64,
    /// Pictures in groups, each group with its heading.
    pub figures: Vec<FigureGroup>,
    /// Phases of the run in the order in which they began.
    pub phases: Vec<Phase>,
    /// Work of each rank, in the order of ranks.
    pub ranks: Vec<Rank>,
    /// Version of the program.
    pub version: String,
    /// The configuration file, as it was read.
    pub config: String,
    /// Input files: name and checksum.
    pub inputs: Vec<(String, String)>,
}

/// An iterative solution.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Solve {
    /// Heading.
    pub name: String,
    /// Relative residual before the first and after each iteration.
    pub residuals: Vec<f64>,
    /// Relative residual at which the iteration stops.
    pub tolerance: f64,
    /// Relative residual computed from the solution itself at the end.
    pub true_residual: f64,
    /// Reason for which the iteration stopped, in words.
    pub stop_reason: String,
}

impl Solve {
    fn iterations(&self) -> usize {
        self.residuals.len().saturating_sub(1)
    }
}

/// Pictures that belong together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FigureGroup {
    /// Heading.
    pub title: String,
    /// The pictures.
    pub figures: Vec<Figure>,
}

/// A picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figure {
    /// The text below it.
    pub caption: String,
    /// The picture, a PNG file.
    pub png: Vec<u8>,
}

/// Time spent in a part of the run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Phase {
    /// Its name.
    pub name: String,
    /// Greatest time over the ranks, in seconds.
    pub max: f64,
    /// Least time over the ranks, in seconds.
    pub min: f64,
}

/// The share of one rank.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rank {
    /// Samples that it holds.
    pub samples: u64,
    /// Pixels that it sees.
    pub pixels_seen: u64,
    /// Time that it worked, in seconds.
    pub seconds: f64,
    /// Greatest memory that it used, in bytes; the report's peak memory is the sum.
    pub memory: u64,
}

impl Report {
    /// Renders the report as an HTML file.
    #[must_use]
    pub fn render(&self) -> String {
        let title = escape(&self.title);
        let sections = [
            self.key_numbers(),
            self.figure_sections(),
            self.solve_sections(),
            self.settings_section(),
            self.part_section(),
            self.phase_section(),
            self.rank_section(),
            self.provenance_section(),
        ];
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n\
             <header><h1>{title}</h1><p>Dolmen map-maker {version}</p></header>\n\
             {body}</main>\n</body>\n</html>\n",
            version = escape(&self.version),
            body = sections.concat(),
        )
    }

    fn key_numbers(&self) -> String {
        let memory: u64 = self.ranks.iter().map(|rank| rank.memory).sum();
        let mut numbers = vec![("Samples", grouped(self.samples)), ("Detectors", grouped(self.detectors))];
        numbers.extend(self.baselines.map(|count| ("Baselines", grouped(count))));
        numbers.push(("Pixels seen", grouped(self.pixels_seen)));
        numbers.push(("Pixels solved", grouped(self.pixels_solved)));
        if let [solve] = &self.solves[..] {
            numbers.push(("Iterations", solve.iterations().to_string()));
            numbers.push(("True residual", scientific(solve.true_residual)));
        }
        numbers.push(("Wall time", seconds(self.wall_time)));
        numbers.push(("Ranks", self.ranks.len().to_string()));
        numbers.push(("Peak memory", bytes(memory)));
        let mut html = "<dl class=\"numbers\">\n".to_owned();
        for (name, value) in numbers {
            push(&mut html, format_args!("<div><dt>{name}</dt><dd>{value}</dd></div>\n"));
        }
        html + "</dl>\n"
    }

    fn figure_sections(&self) -> String {
        let mut html = String::new();
        for group in &self.figures {
            let title = escape(&group.title);
            push(&mut html, format_args!("<section>\n<h2>{title}</h2>\n<div class=\"figures\">\n"));
            for figure in &group.figures {
                let caption = escape(&figure.caption);
                let data = base64(&figure.png);
                push(
                    &mut html,
                    format_args!(
                        "<figure><img alt=\"{caption}\" src=\"data:image/png;base64,{data}\">\
                     <figcaption>{caption}</figcaption></figure>\n"
                    ),
                );
            }
            html.push_str("</div>\n</section>\n");
        }
        html
    }

    fn solve_sections(&self) -> String {
        let section = |solve: &Solve| {
            format!(
                "<section>\n<h2>{name}</h2>\n<p>{reason} The residual computed from the solution after {iterations} \
                 iterations is {residual}, the tolerance {tolerance}.</p>\n{plot}</section>\n",
                name = escape(&solve.name),
                reason = escape(&solve.stop_reason),
                iterations = solve.iterations(),
                residual = scientific(solve.true_residual),
                tolerance = scientific(solve.tolerance),
                plot = residual_plot::svg(&solve.residuals, solve.tolerance),
            )
        };
        self.solves.iter().map(section).collect()
    }

    fn settings_section(&self) -> String {
        let rows = self.settings.iter().map(|(name, value)| {
            format!("<tr><th scope=\"row\">{}</th><td class=\"text\">{}</td></tr>\n", escape(name), escape(value))
        });
        section("Settings", &table("", rows))
    }

    fn part_section(&self) -> String {
        if self.parts.is_empty() {
            return String::new();
        }
        let rows = self.parts.iter().map(|(name, [samples, pixels])| {
            let (name, samples, pixels) = (escape(name), grouped(*samples), grouped(*pixels));
            format!("<tr><th scope=\"row\">{name}</th><td>{samples}</td><td>{pixels}</td></tr>\n")
        });
        let head = "<tr><th>Part</th><th>Samples</th><th>Pixels solved</th></tr>";
        section("Splits", &table(head, rows))
    }

    fn phase_section(&self) -> String {
        let total: f64 = self.phases.iter().map(|phase| phase.max).sum();
        let rows = self.phases.iter().map(|phase| {
            let share = if total > 0.0 { phase.max / total } else { 0.0 };
            format!(
                "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td class=\"bar\">\
                 <span style=\"--share:{share:.3}\"></span>{:.1} %</td></tr>\n",
                escape(&phase.name),
                seconds(phase.max),
                seconds(phase.min),
                100.0 * share,
            )
        });
        let head = "<tr><th>Phase</th><th>Slowest rank</th><th>Fastest rank</th><th>Share</th></tr>";
        section("Time", &table(head, rows))
    }

    fn rank_section(&self) -> String {
        let rows = self
            .ranks
            .iter()
            .enumerate()
            .map(|(at, rank)| format!("<tr><th scope=\"row\">Rank {at}</th>{}</tr>\n", cells(*rank)));
        let head = "<tr><th></th><th>Samples</th><th>Pixels seen</th><th>Time</th><th>Memory</th></tr>";
        let all = table(head, rows);
        if self.ranks.len() <= RANKS_SHOWN {
            return section("Balance of the ranks", &all);
        }
        let extremes = [("Least", extreme(&self.ranks, false)), ("Greatest", extreme(&self.ranks, true))];
        let summary = table(
            head,
            extremes.into_iter().map(|(name, rank)| format!("<tr><th scope=\"row\">{name}</th>{}</tr>\n", cells(rank))),
        );
        let folded = format!("<details><summary>All {} ranks</summary>\n{all}</details>\n", self.ranks.len());
        section("Balance of the ranks", &(summary + &folded))
    }

    fn provenance_section(&self) -> String {
        let rows = self.inputs.iter().map(|(name, checksum)| {
            format!(
                "<tr><th scope=\"row\">{}</th><td class=\"text\"><code>{}</code></td></tr>\n",
                escape(name),
                escape(checksum)
            )
        });
        let inputs = table("<tr><th>Input</th><th class=\"text\">Checksum</th></tr>", rows);
        let config = escape(&self.config);
        section("Provenance", &format!("{inputs}<h3>Configuration</h3>\n<pre>{config}</pre>\n"))
    }
}

fn section(title: &str, body: &str) -> String {
    format!("<section>\n<h2>{title}</h2>\n{body}</section>\n")
}

/// Returns a table that scrolls by itself on a narrow screen; nothing if there are no rows.
fn table(head: &str, rows: impl Iterator<Item = String>) -> String {
    let body: String = rows.collect();
    if body.is_empty() {
        return "<p class=\"none\">None.</p>\n".to_owned();
    }
    format!("<div class=\"scroll\"><table>\n<thead>{head}</thead>\n<tbody>\n{body}</tbody>\n</table></div>\n")
}

fn cells(rank: Rank) -> String {
    format!(
        "<td>{}</td><td>{}</td><td>{}</td><td>{}</td>",
        grouped(rank.samples),
        grouped(rank.pixels_seen),
        seconds(rank.seconds),
        bytes(rank.memory),
    )
}

/// Returns the least or the greatest of each quantity over the ranks.
fn extreme(ranks: &[Rank], greatest: bool) -> Rank {
    let pick = |a: u64, b: u64| if greatest { a.max(b) } else { a.min(b) };
    let merge = |a: Rank, b: &Rank| Rank {
        samples: pick(a.samples, b.samples),
        pixels_seen: pick(a.pixels_seen, b.pixels_seen),
        seconds: if greatest { a.seconds.max(b.seconds) } else { a.seconds.min(b.seconds) },
        memory: pick(a.memory, b.memory),
    };
    let first = ranks.first().copied().unwrap_or_default();
    ranks.iter().fold(first, merge)
}

fn push(html: &mut String, text: std::fmt::Arguments<'_>) {
    html.write_fmt(text).expect("invariant: writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report {
            title: "A & B <map>".to_owned(),
            samples: 32_256_000,
            solves: vec![Solve {
                name: "Solve".to_owned(),
                residuals: vec![1.0, 1e-3, 1e-7],
                tolerance: 1e-6,
                true_residual: 2e-7,
                stop_reason: "Converged.".to_owned(),
            }],
            figures: vec![FigureGroup {
                title: "Maps".to_owned(),
                figures: vec![Figure { caption: "\"I\"".to_owned(), png: b"foobar".to_vec() }],
            }],
            phases: vec![
                Phase { name: "read".to_owned(), max: 1.0, min: 0.5 },
                Phase { name: "solve".to_owned(), max: 3.0, min: 3.0 },
            ],
            ranks: vec![Rank { samples: 10, seconds: 2.0, memory: 3_000_000, ..Rank::default() }; 2],
            config: "x = \"</pre><script>\"".to_owned(),
            inputs: vec![("a<b.h5".to_owned(), "crc32:0".to_owned())],
            ..Report::default()
        }
    }

    #[test]
    fn text_from_outside_is_escaped() {
        let html = report().render();
        assert!(html.contains("<title>A &amp; B &lt;map&gt;</title>"));
        assert!(html.contains("alt=\"&quot;I&quot;\""));
        assert!(html.contains("&lt;/pre&gt;&lt;script&gt;"));
        assert!(html.contains("a&lt;b.h5"));
        assert!(!html.contains("<script"));
    }

    #[test]
    fn nothing_is_fetched_from_elsewhere() {
        let html = report().render();
        for outside in ["http:", "https:", "<link", "@import", "url("] {
            assert!(!html.contains(outside), "{outside}");
        }
    }

    #[test]
    fn pictures_are_embedded() {
        assert!(report().render().contains("src=\"data:image/png;base64,Zm9vYmFy\""));
    }

    #[test]
    fn key_numbers_and_shares() {
        let html = report().render();
        assert!(html.contains("<dt>Samples</dt><dd>32\u{2009}256\u{2009}000</dd>"));
        assert!(html.contains("<dt>Iterations</dt><dd>2</dd>"));
        assert!(html.contains("<dt>Peak memory</dt><dd>6.0 MB</dd>"));
        assert!(html.contains("75.0 %"));
        assert!(!html.contains("Baselines"));
    }

    #[test]
    fn many_ranks_are_folded_under_their_extremes() {
        let mut report = report();
        assert!(!report.render().contains("<details>"));
        report.ranks = (0..40).map(|at| Rank { samples: 100 + at, ..Rank::default() }).collect();
        let html = report.render();
        assert!(html.contains("All 40 ranks"));
        assert!(html.contains("<th scope=\"row\">Least</th><td>100</td>"));
        assert!(html.contains("<th scope=\"row\">Greatest</th><td>139</td>"));
    }

    #[test]
    fn elements_are_closed() {
        for report in [report(), Report::default()] {
            let html = report.render();
            for element in ["section", "table", "div", "figure", "dl", "pre", "main", "td", "tr", "svg"] {
                let opened =
                    html.matches(&format!("<{element}>")).count() + html.matches(&format!("<{element} ")).count();
                assert_eq!(opened, html.matches(&format!("</{element}>")).count(), "{element}");
            }
        }
    }
}
