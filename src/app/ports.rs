//! The ports of a process, each resolved once.

use std::sync::Arc;

use actix_web::web;
use utoipa_actix_web::service_config::ServiceConfig;

use super::health::Looked;
use crate::kernel::{Clock, IdSource};

/// What handlers share, and which rooms are open. Built once, mounted by every worker.
#[derive(Clone)]
pub(super) struct Ports {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: Arc<dyn IdSource>,
    pub(super) looked: Looked,
}

impl Ports {
    /// Gives handlers what they ask for and opens the rooms that are served.
    pub(super) fn mount(&self, config: &mut ServiceConfig) {
        config.app_data(web::Data::from(Arc::clone(&self.clock)));
        config.app_data(web::Data::from(Arc::clone(&self.ids)));
        config.app_data(web::Data::new(self.looked.clone()));
    }
}
