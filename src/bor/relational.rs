//! What every decision does with approved limits, the audit trail and the registry: it asks, it keeps, and it never
//! fails for them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;

use super::Version;
use crate::kernel::{AppName, Call, Clock, IdSource, PortError, PortResult, ProfileType};
use crate::sor::baseline::{Baseline, BaselineSor};
use crate::sor::history::{HistorySor, NewAssessment};
use crate::sor::registry::RegistrySor;

/// Why the fields of a SOR are absent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Absence {
    /// The SOR is off in this process.
    Off,
    /// It did not do its work.
    Unavailable,
}

/// The state of a SOR after a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sor {
    Fine,
    Off,
    Unavailable,
}

impl Sor {
    pub(super) fn absence(self) -> Option<Absence> {
        match self {
            Self::Fine => None,
            Self::Off => Some(Absence::Off),
            Self::Unavailable => Some(Absence::Unavailable),
        }
    }
}

/// The approved limits of an app.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Limits {
    /// Not part of the contract (v1).
    NotAsked,
    /// The SOR is off.
    Off,
    /// The SOR failed.
    Unavailable,
    /// All that were asked for.
    Known(Vec<Baseline>),
}

impl Limits {
    /// The limits, where they are known.
    pub(super) fn known(&self) -> Option<&[Baseline]> {
        if let Self::Known(baselines) = self { Some(baselines) } else { None }
    }

    /// Why there are none to be told.
    pub(super) fn absence(&self) -> Option<Absence> {
        match self {
            Self::Off => Some(Absence::Off),
            Self::Unavailable => Some(Absence::Unavailable),
            Self::NotAsked | Self::Known(_) => None,
        }
    }
}

/// The relational SORs that a decision of v2 works with.
#[derive(Clone)]
pub struct RelationalPorts {
    /// Approved limits; `None` where that SOR is off. Never asked in v1.
    pub baselines: Option<Arc<dyn BaselineSor>>,
    /// The audit trail; `None` where that SOR is off. Never written in v1.
    pub history: Option<Arc<dyn HistorySor>>,
    /// An app's tenant and the labels of its own series; `None` where that SOR is off. Never asked in v1.
    pub registry: Option<Arc<dyn RegistrySor>>,
    /// The present.
    pub clock: Arc<dyn Clock>,
    /// Keys of history entries.
    pub ids: Arc<dyn IdSource>,
    /// The contract served.
    pub version: Version,
}

impl RelationalPorts {
    /// The limits of an app, of one kind or all.
    pub(super) async fn limits(
        &self,
        call: &Call,
        app: &AppName,
        kind: Option<ProfileType>,
        deadline: Instant,
    ) -> Limits {
        if self.version == Version::V1 {
            return Limits::NotAsked;
        }
        let Some(baselines) = &self.baselines else { return Limits::Off };
        let too_late = || PortError::Timeout("no limits within the deadline of a decision".to_owned());
        let listed = timeout_at(deadline, baselines.list(call, app, kind)).await.unwrap_or_else(|_| Err(too_late()));
        listed.map_or_else(
            |error| {
                tracing::warn!(app = app.as_str(), %error, "limits could not be read");
                Limits::Unavailable
            },
            Limits::Known,
        )
    }

    /// Keeps an assessment, now and under a new key. It is made only where one is kept.
    pub(super) async fn keep(
        &self,
        call: &Call,
        app: &AppName,
        entry: impl FnOnce() -> PortResult<NewAssessment>,
    ) -> Sor {
        if self.version == Version::V1 {
            return Sor::Fine;
        }
        let Some(history) = &self.history else { return Sor::Off };
        let kept = match entry() {
            Ok(mut entry) => {
                entry.assessed_at = Some(self.clock.now());
                entry.idempotency_key = Some(self.ids.next());
                history.record(call, entry).await
            }
            Err(error) => Err(error),
        };
        match kept {
            Ok(()) => Sor::Fine,
            Err(error) => {
                tracing::error!(app = app.as_str(), %error, "an assessment could not be kept");
                Sor::Unavailable
            }
        }
    }
}
