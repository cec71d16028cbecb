//! The Baseline SOR: the approved share of a function. It owns the table `performance_baseline`.

mod domain;
mod port;

pub use domain::{Baseline, BaselineChange, BaselinePage, BaselinePosition, BaselineQuery, NewBaseline};
pub use port::BaselineSor;
#[cfg(test)]
pub use port::MockBaselineSor;
