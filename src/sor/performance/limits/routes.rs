//! The routes of limits, alerts and types of operations.

mod alerts;
mod baselines;
mod detection;
mod types;

use actix_web::web;
use serde::{Deserialize, Serialize};

use super::detection::{Anomaly, Correlation, Degradation};
use super::port::{LatencyAlertSor, LatencyBaselineSor};
use super::{LatencyAlert, LatencyBaseline, LatencyBaselineHealth, OperationTypeRow};
use crate::http::{Resource, Routes};

type Baselines = web::Data<dyn LatencyBaselineSor>;
type Alerts = web::Data<dyn LatencyAlertSor>;

/// Mounts and documents them.
pub(in crate::sor::performance) fn routes(routes: &mut Routes<'_>) {
    routes
        .service(
            Resource::at("/performance/baselines")
                .with(baselines::__path_list_latency_baselines, baselines::list_latency_baselines)
                .with(baselines::__path_learn_latency_baseline, baselines::learn_latency_baseline),
        )
        .service(
            Resource::at("/performance/baselines/{id}")
                .with(baselines::__path_show_latency_baseline, baselines::show_latency_baseline)
                .with(baselines::__path_deactivate_latency_baseline, baselines::deactivate_latency_baseline),
        )
        .service(
            Resource::at("/performance/baseline-health")
                .with(baselines::__path_list_latency_baseline_health, baselines::list_latency_baseline_health),
        )
        .service(
            Resource::at("/performance/alerts").with(alerts::__path_list_latency_alerts, alerts::list_latency_alerts),
        )
        .service(
            Resource::at("/performance/alerts/{id}")
                .with(alerts::__path_show_latency_alert, alerts::show_latency_alert),
        )
        .service(
            Resource::at("/performance/alerts/{id}/acknowledge")
                .with(alerts::__path_acknowledge_latency_alert, alerts::acknowledge_latency_alert),
        )
        .service(
            Resource::at("/performance/anomalies").with(detection::__path_list_anomalies, detection::list_anomalies),
        )
        .service(
            Resource::at("/performance/degradations")
                .with(detection::__path_list_degradations, detection::list_degradations),
        )
        .service(
            Resource::at("/performance/correlations")
                .with(detection::__path_list_correlations, detection::list_correlations),
        )
        .service(
            Resource::at("/performance/operation-types")
                .with(types::__path_list_operation_types, types::list_operation_types)
                .with(types::__path_set_operation_type, types::set_operation_type),
        );
}

/// Limits.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LatencyBaselines)]
pub(super) struct BaselinesBody {
    /// How many this page holds.
    pub(super) count: usize,
    /// The limits, newest first.
    pub(super) baselines: Vec<LatencyBaseline>,
    /// Continues the list; absent on its last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub(super) next_cursor: Option<String>,
}

/// How old limits are, and how many alerts they have raised.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = LatencyBaselinesHealth)]
pub(super) struct HealthBody {
    /// The limits in force, by type and scope.
    pub(super) baselines: Vec<LatencyBaselineHealth>,
}

/// Alerts.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LatencyAlerts)]
pub(super) struct AlertsBody {
    /// How many this page holds.
    pub(super) count: usize,
    /// The alerts, newest first.
    pub(super) alerts: Vec<LatencyAlert>,
    /// Continues the list; absent on its last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub(super) next_cursor: Option<String>,
}

/// Operations that were much slower within an hour.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OperationAnomalies)]
pub(super) struct AnomaliesBody {
    /// The worst first.
    pub(super) anomalies: Vec<Anomaly>,
}

/// Operations that became slower over days.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OperationDegradations)]
pub(super) struct DegradationsBody {
    /// The largest first.
    pub(super) degradations: Vec<Degradation>,
}

/// Operations that become slower together.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OperationCorrelations)]
pub(super) struct CorrelationsBody {
    /// The closest first.
    pub(super) correlations: Vec<Correlation>,
}

/// Types of operations.
#[derive(Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = OperationTypes)]
pub(super) struct TypesBody {
    /// By their names.
    pub(super) types: Vec<OperationTypeRow>,
}
