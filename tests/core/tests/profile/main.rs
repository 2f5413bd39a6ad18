//! Profiles over several ranks: counts worked by hand, summaries that agree, timelines that nest.

mod counts;
mod programs;
mod summaries;
mod timeline;

use dolmen_core::profile::{EventSummary, Summary};
use dolmen_tests::{case, serial};

const RANKS: &[usize] = &[1, 2, 3];

fn main() -> std::process::ExitCode {
    if let Ok(name) = std::env::var(programs::PROGRAM) {
        return programs::run(&name);
    }
    dolmen_tests::main(&[
        case("products_by_hand", RANKS, counts::products).alone(),
        case("complex_products_by_hand", &[2], counts::complex_products).alone(),
        case("algebra_by_hand", RANKS, counts::algebra).alone(),
        case("exchanges_by_hand", RANKS, counts::exchanges).alone(),
        case("vectors_by_hand", RANKS, counts::vectors).alone(),
        case("messages_of_a_program", &[3], counts::own_messages).alone(),
        serial("all_of_main_knows_its_rank", programs::all_of_main_knows_its_rank),
        serial("blas_has_one_thread", programs::blas_has_one_thread),
        case("ranks_with_different_events", RANKS, summaries::different_events).alone(),
        case("all_ranks_have_the_same_summary", RANKS, summaries::same_everywhere).alone(),
        case("nothing_is_recorded_outside", RANKS, summaries::only_while_running).alone(),
        case("the_table_is_indented", &[2], summaries::table).alone(),
        case("the_timeline_nests", RANKS, timeline::nests).alone(),
        case("the_timeline_is_bounded", &[1, 3], timeline::is_bounded).alone(),
        case("a_timeline_that_cannot_be_written", RANKS, timeline::cannot_be_written).alone(),
    ])
}

/// The event on a path of names such as `CG/MatMult`.
fn find<'s>(summary: &'s Summary, path: &str) -> Option<&'s EventSummary> {
    let names: Vec<&str> = path.split('/').collect();
    let mut around: Vec<&str> = Vec::new();
    summary.events()[1..].iter().find(|event| {
        around.truncate(event.depth - 1);
        around.push(&event.name);
        around == names
    })
}
