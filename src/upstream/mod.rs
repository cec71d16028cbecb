//! What callers of any other server need: a limit on calls at once ([`Limiter`]), shared work for identical requests
//! ([`Flights`]), and caches of recent answers ([`Recent`], [`Expiring`]).
//!
//! It depends on no server and no protocol. The urgency of work comes from the [`Call`](crate::kernel::Call).

mod flights;
mod limiter;
mod recent;

pub use flights::Flights;
pub use limiter::{CallOutcome, Limiter, Permit};
pub use recent::{Expiring, Recent, is_closed};
