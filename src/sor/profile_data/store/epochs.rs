//! The open dictionaries of all apps together: how much memory they take, and which one to close when it is too much.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::writer::{AppState, Epoch};

/// The bytes of all open dictionaries, by epoch.
#[derive(Debug)]
pub(super) struct OpenEpochs {
    limit: usize,
    open: Mutex<HashMap<i64, Entry>>,
}

#[derive(Debug)]
struct Entry {
    bytes: usize,
    close: Arc<AtomicBool>,
    app: Weak<tokio::sync::Mutex<AppState>>,
}

impl OpenEpochs {
    /// Holds at most `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, open: Mutex::default() }
    }

    /// Notes how large an epoch has become. Over the limit the largest are closed: their apps go on with new ones,
    /// which only costs bytes on disk.
    pub(super) fn note(&self, epoch: &Epoch, app: &Arc<tokio::sync::Mutex<AppState>>) {
        let closed = {
            let mut open = self.lock();
            let entry =
                Entry { bytes: epoch.dictionary.bytes(), close: Arc::clone(&epoch.close), app: Arc::downgrade(app) };
            open.insert(epoch.id, entry);
            let mut closed = Vec::new();
            let mut total: usize = open.values().map(|entry| entry.bytes).sum();
            while total > self.limit {
                // Ties are broken by id, so that the choice is always the same.
                let Some(largest) = open.iter().max_by_key(|(id, entry)| (entry.bytes, **id)).map(|(id, _)| *id) else {
                    break;
                };
                if let Some(entry) = open.remove(&largest) {
                    total -= entry.bytes;
                    entry.close.store(true, Ordering::Relaxed);
                    closed.push(entry.app);
                }
            }
            gauge(total);
            closed
        };
        // An app that is writing right now drops its closed epochs itself when it is done.
        for app in closed.into_iter().filter_map(|app| app.upgrade()) {
            if let Ok(mut state) = app.try_lock() {
                state.drop_closed();
            }
        }
    }

    /// Forgets an epoch that is gone.
    pub(super) fn forget(&self, epoch: i64) {
        let mut open = self.lock();
        open.remove(&epoch);
        gauge(open.values().map(|entry| entry.bytes).sum());
    }

    /// Bytes of all open dictionaries.
    pub(super) fn bytes(&self) -> usize {
        self.lock().values().map(|entry| entry.bytes).sum()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i64, Entry>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn gauge(bytes: usize) {
    metrics::gauge!("profile_store_open_dictionary_bytes").set(bytes as f64);
}
