//! The fuse box, the only wiring: which port is local, remote or off; which routes are served; start and stop order.

mod always;
mod application;
mod background;
mod database;
mod health;
mod plan;
mod ports;
mod self_profile;

pub use application::{Application, Surroundings, openapi};
pub use plan::{Database, InvalidPlan, Placement, Plan, ProfileSource};
pub use self_profile::{Profiler, ProfilerTarget};
