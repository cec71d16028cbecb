//! What a window amounts to per second.

use crate::kernel::ProfileType;
use crate::verdict::reliability::nanoseconds_per_tick;

/// What the ticks of a window amount to per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rate {
    /// cpu: processor cores, idle ticks left out.
    Cores(f64),
    /// alloc: bytes per second.
    BytesPerSecond(f64),
    /// lock: milliseconds of wait per second.
    WaitMsPerSecond(f64),
}

/// The time that ticks are divided by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ObservedTime {
    /// Its length in seconds.
    pub seconds: f64,
    /// What it is the length of.
    pub over: RateOver,
}

/// What a rate is an average over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RateOver {
    /// The time that profiles cover.
    Profiles,
    /// The whole window: the source does not say when profiles came. An app that ran for a part of it seems to use less.
    Window,
}

impl Rate {
    /// The rate of so many active ticks of that unit; `None` for kinds and units that have none.
    pub(in crate::verdict) fn of(kind: ProfileType, unit: &str, active: i64, seconds: f64) -> Option<Self> {
        let ns = || nanoseconds_per_tick(unit).map(|tick| active as f64 * tick as f64);
        match kind {
            ProfileType::Cpu => ns().map(|ns| Self::Cores(ns / 1e9 / seconds)),
            ProfileType::Alloc if unit == "bytes" => Some(Self::BytesPerSecond(active as f64 / seconds)),
            ProfileType::Lock => ns().map(|ns| Self::WaitMsPerSecond(ns / 1e6 / seconds)),
            _ => None,
        }
    }
}
