//! What callers of other servers need, whichever server that is: how many calls it gets at once ([`Limiter`]), one piece of
//! work for all who ask the same ([`Flights`]), and what was found out a moment ago ([`Recent`], [`Expiring`]).
//!
//! It knows no server and no protocol; it takes the urgency of work from the [`Call`](crate::kernel::Call).

mod flights;
mod limiter;
mod recent;

pub use flights::Flights;
pub use limiter::{Limiter, Outcome, Permit};
pub use recent::{Expiring, Recent, is_closed};
