use super::{Bor, Kind, Room, Sor, alerts, core, history, performance, profile_data};
use crate::app::placement::{nothing_to_add, relational};
use crate::bor::diff::{self, DiffParts, DiffService};
use crate::bor::fleet::{self, FleetParts, FleetService};
use crate::bor::triage::{self, TriageParts, TriageService};
use crate::sor::alert_rule::{self, AlertRuleSor};
use crate::sor::baseline::{self, BaselineSor};
use crate::sor::registry::{self, RegistrySor};

pub(super) const ALERT_RULE: &str = "ReadPyroscopeAlertRule.sor.v1";
pub(super) const BASELINE: &str = "ReadPyroscopeBaseline.sor.v1";
pub(super) const REGISTRY: &str = "ReadPyroscopeServiceRegistry.sor.v1";

/// How `flamewarden config check` describes a relational system of record: local, or off.
pub(super) const RELATIONAL: [&str; 2] = ["local", "off"];

/// Every room, in the order in which routes are mounted. Systems of record are built before decisions, which ask for their
/// ports.
pub(in crate::app) static ROOMS: &[Room] = &[
    profile_data::ROOM,
    Room {
        functions: &[BASELINE],
        chapters: &[("baselines", "Approved shares of functions")],
        kind: Kind::Sor(Sor {
            title: "baselines",
            url_key: "baseline_url",
            placement: relational,
            described: RELATIONAL,
            warnings: nothing_to_add,
            build: |wiring, place| wiring.relational::<dyn BaselineSor>(place, baseline::local, baseline::remote),
            routes: |routes, _| baseline::routes(routes),
        }),
    },
    history::ROOM,
    Room {
        functions: &[REGISTRY],
        chapters: &[("services", "Who owns an app, and how much it matters")],
        kind: Kind::Sor(Sor {
            title: "registry",
            url_key: "registry_url",
            placement: relational,
            described: RELATIONAL,
            warnings: nothing_to_add,
            build: |wiring, place| wiring.relational::<dyn RegistrySor>(place, registry::local, registry::remote),
            routes: |routes, _| registry::routes(routes),
        }),
    },
    // Before the rules, whose `/rules/{id}` would take `test` for an id.
    alerts::ROOM,
    Room {
        functions: &[ALERT_RULE],
        chapters: &[("rules", "Alert rules: from which share of a profile on to alert")],
        kind: Kind::Sor(Sor {
            title: "alert rules",
            url_key: "alert_rule_url",
            placement: relational,
            described: RELATIONAL,
            warnings: nothing_to_add,
            build: |wiring, place| wiring.relational::<dyn AlertRuleSor>(place, alert_rule::local, alert_rule::remote),
            routes: |routes, _| alert_rule::routes(routes),
        }),
    },
    core::ROOM,
    performance::ROOM,
    Room {
        functions: &["ReadPyroscopeTriageAssessment.v1", "ReadPyroscopeTriageAssessment.v2"],
        chapters: &[("triage", "What is wrong with an app")],
        kind: Kind::Bor(Bor {
            needs: &[profile_data::FUNCTION],
            wants: &[BASELINE, history::FUNCTION, REGISTRY],
            build: |wiring, version| {
                let (profiles, relational) = (wiring.profiles()?, wiring.relational_ports(version)?);
                let rules = wiring.rules()?;
                let cost = wiring.cost();
                wiring.offer_service(TriageService::new(TriageParts { profiles, relational, rules, cost }));
                Ok(())
            },
            routes: triage::routes,
        }),
    },
    Room {
        functions: &["ReadPyroscopeDiffReport.v1", "ReadPyroscopeDiffReport.v2"],
        chapters: &[("diff", "What changed between two windows")],
        kind: Kind::Bor(Bor {
            needs: &[profile_data::FUNCTION],
            wants: &[BASELINE, history::FUNCTION, REGISTRY],
            build: |wiring, version| {
                let (profiles, relational) = (wiring.profiles()?, wiring.relational_ports(version)?);
                let rules = wiring.rules()?;
                wiring.offer_service(DiffService::new(DiffParts { profiles, relational, rules }));
                Ok(())
            },
            routes: diff::routes,
        }),
    },
    Room {
        functions: &["ReadPyroscopeFleetSearch.v1", "ReadPyroscopeFleetSearch.v2"],
        chapters: &[("fleet", "Which functions cost most over all apps, and where one is found")],
        kind: Kind::Bor(Bor {
            needs: &[profile_data::FUNCTION],
            wants: &[REGISTRY],
            build: |wiring, version| {
                let (profiles, relational) = (wiring.profiles()?, wiring.relational_ports(version)?);
                let rules = wiring.rules()?;
                wiring.offer_service(FleetService::new(FleetParts { profiles, relational, rules }));
                Ok(())
            },
            routes: fleet::routes,
        }),
    },
];
