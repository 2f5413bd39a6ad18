//! Automatic solves: what is chosen, what happens when it fails, and what is said about it.

mod choices;
mod facts;
mod reference_data;
mod resume;
mod shapes;
mod texts;

use std::process::ExitCode;
use std::time::Duration;

use dolmen_core::{Complex32, Complex64};
use dolmen_tests::{case, serial};

const RANKS: &[usize] = &[1, 2, 4];

fn main() -> ExitCode {
    dolmen_tests::main(&[
        case("facts_by_hand", RANKS, facts::by_hand),
        case("adjoints_are_made_once", &[1, 3], facts::adjoints),
        case("nearly_symmetric", RANKS, facts::nearly_symmetric),
        case("facts_of_reference_data", &[1, 3], facts::reference_data),
        case("f32_kinds", RANKS, choices::kinds::<f32>),
        case("f64_kinds", RANKS, choices::kinds::<f64>),
        case("c32_kinds", RANKS, choices::kinds::<Complex32>),
        case("c64_kinds", RANKS, choices::kinds::<Complex64>),
        case("large", &[1, 2], choices::large),
        case("singular", RANKS, choices::singular),
        case("rectangular", RANKS, choices::rectangular),
        case("empty_rows_and_columns", &[1, 2, 3], shapes::empty_rows_and_columns),
        case("unsolvable_rows", &[1, 2, 3], shapes::unsolvable_rows),
        case("resumed_without_empty_rows", &[1, 3], shapes::resumed),
        case("dependent_columns", &[1, 2, 3], shapes::dependent_columns),
        case("small_gradient", &[1, 2], shapes::small_gradient),
        case("names", RANKS, choices::names),
        case("texts_make_what_constructors_make", &[1, 2, 3], texts::a_text_makes_what_constructors_make),
        serial("texts_of_methods", texts::methods_are_read_as_they_are_written),
        serial("texts_of_preconditioners", texts::preconditioners_are_read_as_they_are_written),
        serial("texts_of_choices", texts::a_choice_is_a_method_and_perhaps_a_preconditioner),
        serial("texts_that_are_wrong", texts::what_is_wrong_with_a_text_is_told),
        serial("the_page_of_choices_is_complete", texts::the_page_is_complete),
        case("not_finite", RANKS, choices::not_finite),
        case("watched", RANKS, choices::watched),
        case("resumed_everywhere", RANKS, resume::everywhere),
        case("resumed_on_fewer_ranks", &[4], resume::fewer_ranks),
        case("other_plans_are_refused", &[2], resume::refused),
        case("square_matrices", &[2], reference_data::square).deadline(Duration::from_secs(180)),
        case("rectangular_matrices", &[1, 2], reference_data::rectangular),
    ])
}
