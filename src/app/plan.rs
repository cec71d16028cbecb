//! Decides, from the settings alone, what is served here and where each system of record is.

use std::fmt;

use super::placement::{Demand, InvalidPlan, Placement};
use super::rooms::{self, Kind, PROFILE_DATA, ROOMS, Room, Sor};
use crate::config::{ConnectTo, Functions, Settings};
use crate::identity::Mode;

/// The database that this process opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    /// None.
    None,
    /// One that runs elsewhere.
    External,
    /// One that this process runs.
    Embedded,
}

/// What a process serves, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What is served.
    pub functions: Functions,
    /// Which database is opened.
    pub database: Database,
    /// Connections at most.
    pub pool_size: u32,
    /// Whether the server profiles itself.
    pub self_profile: bool,
    /// Whether callers must say who they are.
    pub access: Mode,
    /// The placement of each room, in the order of [`ROOMS`]. Decisions have [`Placement::Off`].
    placements: Vec<Placement>,
    warnings: Vec<String>,
}

impl Plan {
    /// The plan of these settings.
    ///
    /// # Errors
    /// Fails where something that is served lacks what it cannot do without.
    pub fn of(settings: &Settings) -> Result<Self, InvalidPlan> {
        let functions = settings.server.functions.clone();
        let host = settings.server.host;
        let access = Mode::of(&settings.auth, host).ok_or(InvalidPlan::NobodyKnown(host))?;
        let placement = |room: &Room| match room.sor() {
            Some(sor) => {
                let demand = demand(settings, room, sor);
                let placement = (sor.placement)(settings, &demand)?;
                match (demand.needed_by, room.functions.first()) {
                    (Some(function), Some(value)) if placement == Placement::Off => {
                        Err(InvalidPlan::Missing { function, title: sor.title, variable: sor.variable(), value })
                    }
                    _ => Ok(placement),
                }
            }
            None => Ok(Placement::Off),
        };
        let placements = ROOMS.iter().map(placement).collect::<Result<Vec<_>, _>>()?;
        let database = match &settings.database.connect_to {
            _ if !placements.contains(&Placement::Local) => Database::None,
            ConnectTo::Embedded => Database::Embedded,
            ConnectTo::Url(_) | ConnectTo::Parts { .. } => Database::External,
        };
        let default_pool = if functions.count() == 1 { 5 } else { 20 };
        let mut plan = Self {
            functions,
            database,
            pool_size: settings.database.pool_size.unwrap_or(default_pool),
            self_profile: false,
            access,
            placements,
            warnings: Vec::new(),
        };
        let keeps = matches!(plan.profiles(), Placement::Local | Placement::Pyroscope(_));
        plan.self_profile = settings.self_profile.enabled.unwrap_or(keeps) && keeps;
        plan.warnings = plan.gather_warnings(settings, keeps);
        Ok(plan)
    }

    /// A server of everything, with all data in this process.
    pub(super) fn whole() -> Self {
        let placement = |room: &Room| if room.sor().is_some() { Placement::Local } else { Placement::Off };
        Self {
            functions: Functions::all(&rooms::functions()),
            database: Database::Embedded,
            pool_size: 0,
            self_profile: false,
            access: Mode::OpenOnLoopback,
            placements: ROOMS.iter().map(placement).collect(),
            warnings: Vec::new(),
        }
    }

    /// Warnings for the operator who starts the server.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Where profiles come from.
    pub fn profiles(&self) -> &Placement {
        self.places().find(|(room, ..)| room.functions.contains(&PROFILE_DATA)).map_or(&Placement::Off, |(_, _, at)| at)
    }

    /// Where a room of the list is.
    pub(super) fn placement(&self, room: &Room) -> &Placement {
        let at = self.places().find(|(other, ..)| std::ptr::eq(*other, room));
        at.map_or(&Placement::Off, |(_, _, placement)| placement)
    }

    /// Every system of record, and where it is.
    fn places(&self) -> impl Iterator<Item = (&'static Room, &'static Sor, &Placement)> {
        ROOMS.iter().zip(&self.placements).filter_map(|(room, placement)| Some((room, room.sor()?, placement)))
    }

    fn gather_warnings(&self, settings: &Settings, keeps: bool) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.access != Mode::Required && !settings.server.host.is_loopback() {
            warnings.push(format!("open on {}: anyone who reaches it may read and write", settings.server.host));
        }
        let kept: Vec<_> = self
            .places()
            .filter(|(room, _, at)| **at == Placement::Local && !room.functions.contains(&PROFILE_DATA))
            .flat_map(|(room, ..)| room.functions)
            .copied()
            .collect();
        if self.database == Database::Embedded && !self.functions.is_all() && !kept.is_empty() {
            warnings.push(format!(
                "{} keeps its rows in an embedded database of this machine, as neither DATABASE_URL nor DB_HOST is set",
                kept.join(", ")
            ));
        }
        for (room, sor, placement) in self.places() {
            let (demand, variable) = (demand(settings, room, sor), sor.variable());
            if demand.wanted && *placement == Placement::Off {
                warnings.push(format!("{} is off: it is not served here and {variable} is not set", sor.title));
            }
            if demand.url.is_some() && *placement == Placement::Off {
                warnings.push(format!("{variable} is ignored: nothing that is served here uses it"));
            }
            warnings.extend((sor.warnings)(settings, placement, &demand));
        }
        if settings.self_profile.enabled == Some(true) && !keeps {
            warnings.push(
                "SELF_PROFILE is ignored: this process has neither the embedded store nor PYROSCOPE_URL".to_owned(),
            );
        }
        warnings
    }
}

/// What these settings ask of a system of record.
fn demand<'s>(settings: &'s Settings, room: &Room, sor: &Sor) -> Demand<'s> {
    let functions = &settings.server.functions;
    let serves = |function: &str| functions.serve(function);
    let asks = |list: &[&str]| list.iter().any(|function| room.functions.contains(function));
    let decisions = || {
        ROOMS.iter().filter_map(|decision| match &decision.kind {
            Kind::Bor(bor) => {
                let (function, _) = decision.served(serves)?;
                Some((bor, function, decision.functions.last() == Some(&function)))
            }
            Kind::Sor(_) => None,
        })
    };
    Demand {
        url: settings.sor.url(sor.url_key),
        served: room.served(serves).is_some(),
        needed_by: decisions().find(|(bor, ..)| asks(bor.needs)).map(|(_, function, _)| function),
        wanted: decisions().any(|(bor, _, is_newest)| is_newest && asks(bor.wants)),
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "serves: {}", self.functions)?;
        for (_, sor, placement) in self.places() {
            let [local, off] = sor.described;
            match placement {
                Placement::Off => writeln!(f, "{}: {off}", sor.title)?,
                Placement::Local => writeln!(f, "{}: {local}", sor.title)?,
                Placement::Pyroscope(url) => writeln!(f, "{}: Pyroscope at {url}", sor.title)?,
                Placement::Remote(url) => writeln!(f, "{}: Flamewarden at {url}", sor.title)?,
            }
        }
        let database = match self.database {
            Database::None => "none",
            Database::External => "external",
            Database::Embedded => "embedded",
        };
        write!(f, "database: {database}, at most {} connections\nself-profile: {}", self.pool_size, self.self_profile)?;
        write!(f, "\naccess: {}", self.access.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const TOKEN: &str = "fw_0123456789012345678901234567890123456789012";
    const ADMIN: (&str, &str) = ("ADMIN_TOKEN", TOKEN);
    const PROFILE: &str = "ReadPyroscopeProfile.sor.v1";
    const BASELINE: &str = "ReadPyroscopeBaseline.sor.v1";
    const HISTORY: &str = "CreatePyroscopeTriageHistory.sor.v1";
    const REGISTRY: &str = "ReadPyroscopeServiceRegistry.sor.v1";
    const RULES: &str = "ReadPyroscopeAlertRule.sor.v1";
    const CORE: &str = "ReadPyroscopeCore.sor.v1";
    const OPERATIONS: &str = "ReadPyroscopePerformance.sor.v1";
    const ALERT: &str = "EvaluatePyroscopeAlert.v1";
    const V1: &str = "ReadPyroscopeTriageAssessment.v1";
    const V2: &str = "ReadPyroscopeTriageAssessment.v2";
    const FLEET: &str = "ReadPyroscopeFleetSearch.v2";
    const P: (&str, &str) = ("PYROSCOPE_URL", "http://pyroscope:4040");
    const D: (&str, &str) = ("PROFILE_DATA_URL", "http://profiles");
    const B: (&str, &str) = ("BASELINE_URL", "http://baselines");
    const H: (&str, &str) = ("HISTORY_URL", "http://history");
    const R: (&str, &str) = ("REGISTRY_URL", "http://registry");
    const A: (&str, &str) = ("ALERT_RULE_URL", "http://rules");
    const C: (&str, &str) = ("CORE_URL", "http://core");
    const O: (&str, &str) = ("PERFORMANCE_URL", "http://performance");
    const DB: (&str, &str) = ("DATABASE_URL", "postgres://u:p@db/f");

    fn plan(functions: &[&str], variables: &[(&str, &str)]) -> Result<Plan, String> {
        let functions = functions.join(",");
        let all = variables.iter().copied().chain([("FUNCTION", functions.as_str()), ("DATA_DIR", "/tmp/x")]);
        let (settings, _) =
            Settings::load(&rooms::functions(), None, all.map(|(n, v)| (n.to_owned(), v.to_owned()))).unwrap();
        Plan::of(&settings).map_err(|error| error.to_string())
    }

    fn short(plan: &Plan) -> String {
        let word = |placement: &Placement, [local, off]: [&'static str; 2]| match placement {
            Placement::Off => off,
            Placement::Local => local,
            Placement::Pyroscope(_) => "pyroscope",
            Placement::Remote(_) => "remote",
        };
        let described = |room: &Room| {
            if room.functions.contains(&PROFILE_DATA) { ["store", "-"] } else { ["local", "off"] }
        };
        let places: Vec<_> = plan.places().map(|(room, _, placement)| word(placement, described(room))).collect();
        let self_profile = if plan.self_profile { "profiled" } else { "not" };
        format!("{} {:?} {} {self_profile}", places.join(" "), plan.database, plan.pool_size)
    }

    #[rstest]
    #[case(&[], &[], "store local local local local local local Embedded 20 profiled")]
    #[case(&["all"], &[DB, P], "pyroscope local local local local local local External 20 profiled")]
    #[case(&["all"], &[B, H, P], "pyroscope remote remote local local local local Embedded 20 profiled")]
    #[case(&["all"], &[B, H, R, P], "pyroscope remote remote remote local local local Embedded 20 profiled")]
    #[case(&["all"], &[B, H, R, A, P], "pyroscope remote remote remote remote local local Embedded 20 profiled")]
    #[case(&["all"], &[B, H, R, A, C, P], "pyroscope remote remote remote remote remote local Embedded 20 profiled")]
    #[case(&["all"], &[B, H, R, A, C, O, P], "pyroscope remote remote remote remote remote remote None 20 profiled")]
    #[case(&["all"], &[D], "remote local local local local local local Embedded 20 not")]
    #[case(&["all"], &[("SELF_PROFILE", "false")], "store local local local local local local Embedded 20 not")]
    #[case(&[PROFILE], &[], "store off off off off off off Embedded 5 profiled")]
    #[case(&[PROFILE], &[P], "pyroscope off off off off off off None 5 profiled")]
    #[case(&[PROFILE], &[D], "remote off off off off off off None 5 not")]
    #[case(&[BASELINE], &[DB], "- local off off off off off External 5 not")]
    #[case(&[BASELINE], &[B], "- remote off off off off off None 5 not")]
    #[case(&[BASELINE, HISTORY], &[], "- local local off off off off Embedded 20 not")]
    #[case(&[REGISTRY], &[DB], "- off off local off off off External 5 not")]
    #[case(&[REGISTRY], &[R], "- off off remote off off off None 5 not")]
    #[case(&[RULES], &[DB], "- off off off local off off External 5 not")]
    #[case(&[RULES], &[A], "- off off off remote off off None 5 not")]
    #[case(&[CORE], &[DB], "- off off off off local off External 5 not")]
    #[case(&[CORE], &[C], "- off off off off remote off None 5 not")]
    #[case(&[OPERATIONS], &[DB], "- off off off off off local External 5 not")]
    #[case(&[OPERATIONS], &[O], "- off off off off off remote None 5 not")]
    #[case(&[FLEET], &[P, C], "pyroscope off off off off remote off None 5 profiled")]
    #[case(&[FLEET], &[P, O], "pyroscope off off off off off remote None 5 profiled")]
    #[case(&[FLEET], &[P, O, ("SELF_RECORD", "false")], "pyroscope off off off off off off None 5 profiled")]
    #[case(&[V1], &[P, B, H, R], "pyroscope off off off off off off None 5 profiled")]
    #[case(&[V1], &[D], "remote off off off off off off None 5 not")]
    #[case(&[V2], &[P], "pyroscope off off off off off off None 5 profiled")]
    #[case(&[V2], &[D, B, H, R], "remote remote remote remote off off off None 5 not")]
    #[case(&[V2, BASELINE], &[D, DB], "remote local off off off off off External 20 not")]
    #[case(&[V2, PROFILE], &[DB, ("DB_POOL_SIZE", "9")], "store off off off off off off External 9 profiled")]
    #[case(&[FLEET], &[D, B, H, R], "remote off off remote off off off None 5 not")]
    #[case(&[FLEET, BASELINE], &[P, DB], "pyroscope local off off off off off External 20 profiled")]
    #[case(&[ALERT], &[D, B, H, R, A, C], "remote remote off remote remote remote off None 5 not")]
    #[case(&[ALERT], &[D, A, C], "remote off off off remote remote off None 5 not")]
    #[case(&[ALERT, RULES, CORE], &[P, DB], "pyroscope off off off local local off External 20 profiled")]
    fn settles_each_case(#[case] functions: &[&str], #[case] variables: &[(&str, &str)], #[case] expected: &str) {
        assert_eq!(short(&plan(functions, variables).unwrap()), expected);
    }

    #[rstest]
    #[case(&[V2], &[DB])]
    #[case(&[ALERT], &[DB])]
    #[case(&[V1, BASELINE], &[])]
    fn refuses_a_decision_without_a_source_and_names_both(
        #[case] functions: &[&str],
        #[case] variables: &[(&str, &str)],
    ) {
        let error = plan(functions, variables).unwrap_err();
        assert!(error.contains("PROFILE_DATA_URL") && error.contains("PYROSCOPE_URL"), "{error}");
    }

    #[rstest]
    #[case(&[D, C], "alert rules", "ALERT_RULE_URL", RULES)]
    #[case(&[D, A], "core", "CORE_URL", CORE)]
    fn refuses_to_evaluate_rules_without_what_that_needs(
        #[case] variables: &[(&str, &str)],
        #[case] title: &str,
        #[case] variable: &str,
        #[case] value: &str,
    ) {
        let error = plan(&[ALERT], variables).unwrap_err();
        let expected = format!(
            "{ALERT} needs {title}: set {variable} to another Flamewarden that keeps them, or add {value} to FUNCTION"
        );
        assert_eq!(error, expected);
    }

    #[rstest]
    #[case(&[], Some(Mode::OpenOnLoopback))]
    #[case(&[("HOST", "::1")], Some(Mode::OpenOnLoopback))]
    #[case(&[("HOST", "0.0.0.0")], None)]
    #[case(&[("HOST", "192.0.2.7")], None)]
    #[case(&[("HOST", "0.0.0.0"), ("AUTH", "open")], Some(Mode::Open))]
    #[case(&[("AUTH", "open"), ADMIN], Some(Mode::Open))]
    #[case(&[ADMIN], Some(Mode::Required))]
    #[case(&[("HOST", "0.0.0.0"), ("SERVICE_TOKEN", TOKEN)], Some(Mode::Required))]
    #[case(&[("TRUSTED_PROXIES", "10.0.0.0/8")], Some(Mode::Required))]
    #[case(&[("AUTH_TOKENS_FILE", "tokens.toml")], Some(Mode::Required))]
    #[case(&[("AUTH", "required"), ADMIN], Some(Mode::Required))]
    fn access_is_open_on_loopback_alone_unless_somebody_says_so(
        #[case] variables: &[(&str, &str)],
        #[case] expected: Option<Mode>,
    ) {
        match (plan(&[], variables), expected) {
            (Ok(plan), Some(mode)) => assert_eq!(plan.access, mode),
            (Err(error), None) => assert!(error.contains("set ADMIN_TOKEN, AUTH_TOKENS_FILE or TRUSTED_PROXIES")),
            (plan, expected) => panic!("{expected:?}: {plan:?}"),
        }
    }

    #[rstest]
    #[case(&[], &[], "")]
    #[case(&[], &[("HOST", "0.0.0.0"), ("AUTH", "open")], "anyone who reaches it")]
    #[case(&[], &[("HOST", "0.0.0.0"), ADMIN], "")]
    #[case(&[BASELINE], &[], "keeps its rows in an embedded database")]
    #[case(&[V2], &[P, H, R], "baselines is off")]
    #[case(&[V2], &[P, B, H], "registry is off: it is not served here and REGISTRY_URL is not set")]
    #[case(&[V1], &[P, H], "HISTORY_URL is ignored")]
    #[case(&[V1], &[P, R], "REGISTRY_URL is ignored")]
    #[case(&[], &[D, P], "PYROSCOPE_URL is ignored")]
    #[case(&[V2], &[P, B, H, R, A], "ALERT_RULE_URL is ignored: nothing that is served here uses it")]
    #[case(&[V2, FLEET], &[P, B, H, R, C], "")]
    #[case(&[FLEET], &[P], "registry is off")]
    #[case(&[FLEET], &[P, R, H], "HISTORY_URL is ignored")]
    #[case(&[], &[D, ("SELF_PROFILE", "true")], "SELF_PROFILE is ignored")]
    #[case(&[], &[("HISTORY_RETENTION_DAYS", "30")], "")]
    #[case(&[], &[H, ("HISTORY_RETENTION_DAYS", "30")], "HISTORY_RETENTION_DAYS is ignored")]
    #[case(&[V1], &[P, ("HISTORY_RETENTION_DAYS", "30")], "HISTORY_RETENTION_DAYS is ignored")]
    #[case(&[], &[("AUDIT_RETENTION_DAYS", "90")], "")]
    #[case(&[], &[C, ("AUDIT_RETENTION_DAYS", "90")], "AUDIT_RETENTION_DAYS is ignored")]
    #[case(&[], &[H, ("HISTORY_REPEATS_EVERY", "1h")], "")]
    #[case(&[V1], &[P, ("HISTORY_REPEATS_EVERY", "1h")], "HISTORY_REPEATS_EVERY is ignored")]
    fn warns(#[case] functions: &[&str], #[case] variables: &[(&str, &str)], #[case] expected: &str) {
        let plan = plan(functions, variables).unwrap();
        let warnings: Vec<_> = plan.warnings().iter().filter(|warning| !warning.starts_with(NOBODY_TOLD)).collect();
        assert!(warnings.iter().all(|warning| warning.contains(expected)), "{warnings:?}");
        assert_eq!(warnings.len(), usize::from(!expected.is_empty()), "{warnings:?}");
    }

    const NOBODY_TOLD: &str = "nobody is told of incidents";

    #[rstest]
    #[case(&[], &[], Some(NOBODY_TOLD))]
    #[case(&[], &[("SLACK_WEBHOOK_URL", "http://localhost")], None)]
    #[case(&[], &[("CHANNELS_FILE", "channels.toml")], None)]
    #[case(&[], &[C], None)]
    #[case(&[], &[C, ("CHANNELS_FILE", "channels.toml")], Some("are ignored: notifications are not kept by this process"))]
    fn says_where_nobody_is_told_of_incidents(
        #[case] functions: &[&str],
        #[case] variables: &[(&str, &str)],
        #[case] expected: Option<&str>,
    ) {
        let plan = plan(functions, variables).unwrap();
        let told = |warning: &&String| warning.starts_with(NOBODY_TOLD) || warning.contains("CHANNELS_FILE");
        let found: Vec<_> = plan.warnings().iter().filter(told).collect();
        assert_eq!(found.len(), usize::from(expected.is_some()), "{found:?}");
        assert!(found.iter().all(|warning| expected.is_some_and(|expected| warning.contains(expected))), "{found:?}");
    }
}
