//! Which types of operations exporters have named, so that names that hold an id cannot make types without end.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

use super::ExportedSpan;
use crate::kernel::Text255;
use crate::sor::performance::names::{OperationScope, OperationType};

/// The most types of a scope. Spans of further ones are of the type `other`.
const MOST_TYPES: usize = 1_000;
/// The most scopes that are remembered. Beyond that all are forgotten and read again.
const MOST_SCOPES: usize = 1_000;
const OTHER: &str = "other";

/// The types of each scope that this process has seen.
#[derive(Debug, Default)]
pub(in crate::sor::performance) struct KnownTypes(Mutex<HashMap<OperationScope, HashSet<OperationType>>>);

impl KnownTypes {
    /// Scopes of spans whose types must be read before [`Self::limit`].
    pub(in crate::sor::performance) fn unread(&self, spans: &[ExportedSpan]) -> HashSet<OperationScope> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let scopes: HashSet<_> = spans.iter().map(|span| &span.operation.scope).collect();
        scopes.into_iter().filter(|scope| !known.contains_key(*scope)).cloned().collect()
    }

    /// Remembers scopes, and the types that they have in the database.
    pub(in crate::sor::performance) fn read(
        &self,
        scopes: HashSet<OperationScope>,
        types: impl IntoIterator<Item = (OperationScope, OperationType)>,
    ) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() + scopes.len() > MOST_SCOPES {
            known.clear();
        }
        for scope in scopes {
            known.entry(scope).or_default();
        }
        for (scope, kind) in types {
            let types = known.entry(scope).or_default();
            if types.len() < MOST_TYPES {
                types.insert(kind);
            }
        }
    }

    /// Gives spans of types beyond the limit the type `other`; their name says what they were.
    pub(in crate::sor::performance) fn limit(&self, spans: &mut [ExportedSpan]) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for span in spans {
            let operation = &mut span.operation;
            let types = known.entry(operation.scope.clone()).or_default();
            if types.contains(&operation.operation_type) {
                continue;
            }
            if types.len() < MOST_TYPES {
                types.insert(operation.operation_type.clone());
                if types.len() == MOST_TYPES {
                    tracing::warn!(scope = %operation.scope, "names of spans are over {MOST_TYPES}: others are called {OTHER}");
                }
                continue;
            }
            let Ok(other) = OTHER.parse() else { continue };
            let named = std::mem::replace(&mut operation.operation_type, other);
            let name = operation.operation_name.take();
            operation.operation_name = name.or_else(|| named.as_str().parse::<Text255>().ok());
        }
    }
}
