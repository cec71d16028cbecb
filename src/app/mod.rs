//! The only wiring: which port is local, remote or off, which routes are served, and the order of starting and
//! stopping.

mod access;
mod always;
mod application;
mod background;
mod database;
mod health;
mod placement;
mod plan;
mod recorder;
mod rooms;
mod scheduler;
mod self_profile;
mod traced_history;
mod traced_profiles;
mod wiring;

pub use application::{Application, TimeAndIds, openapi};
pub use placement::{InvalidPlan, Placement};
pub use plan::{Database, Plan};
pub use rooms::functions;
pub use self_profile::{Profiler, ProfilerTarget};
