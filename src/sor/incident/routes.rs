//! The routes of alerts and silences, for people and for other Flamewardens. They call the ports only.

mod alerts;
mod rounds;
mod silences;

use actix_web::web;

use super::port::{AlertStateSor, IncidentSor, SilenceSor};
use crate::http::{Resource, Routes};

type Incidents = web::Data<dyn IncidentSor>;
type AlertStates = web::Data<dyn AlertStateSor>;
type Silences = web::Data<dyn SilenceSor>;

/// Mounts and documents the routes of the Incident SOR.
pub fn routes(routes: &mut Routes<'_>) {
    routes
        .service(Resource::at("/alerts").with(alerts::__path_list_alerts, alerts::list_alerts))
        .service(Resource::at("/alerts/{id}").with(alerts::__path_show_alert, alerts::show_alert))
        .service(
            Resource::at("/alerts/{id}/acknowledge").with(alerts::__path_acknowledge_alert, alerts::acknowledge_alert),
        )
        .service(
            Resource::at("/alerts/{id}/snooze")
                .with(alerts::__path_snooze_alert, alerts::snooze_alert)
                .with(alerts::__path_unsnooze_alert, alerts::unsnooze_alert),
        )
        .service(
            Resource::at("/silences")
                .with(silences::__path_list_silences, silences::list_silences)
                .with(silences::__path_make_silence, silences::make_silence),
        )
        .service(Resource::at("/silences/{id}").with(silences::__path_remove_silence, silences::remove_silence))
        .service(Resource::at("/core/incident/observe").with(rounds::__path_observe_incident, rounds::observe_incident))
        .service(Resource::at("/core/incident/standing").with(rounds::__path_read_standing, rounds::read_standing))
        .service(Resource::at("/core/incident/apply").with(rounds::__path_apply_evaluation, rounds::apply_evaluation))
        .service(Resource::at("/core/incident/untold").with(rounds::__path_list_untold, rounds::list_untold))
        .service(Resource::at("/core/incident/told").with(rounds::__path_keep_told, rounds::keep_told))
        .service(
            Resource::at("/core/incident/rule_state").with(rounds::__path_read_rule_state, rounds::read_rule_state),
        );
}
