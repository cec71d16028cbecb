//! Decides, from the settings alone, what is served here and where each system of record is.

use std::fmt;

use url::Url;

use crate::config::{ConnectTo, Function, Functions, Settings};

/// Where profiles come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProfileSource {
    /// The embedded store of this process.
    Embedded,
    /// A Pyroscope server, read by this process.
    Pyroscope(Url),
    /// Another Flamewarden.
    Remote(Url),
}

/// Where a relational system of record is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Placement {
    /// In this process.
    Local,
    /// In another Flamewarden.
    Remote(Url),
    /// Nowhere: what needs it says so.
    Off,
}

/// Which database this process opens.
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
    /// Where profiles come from; `None`: nothing here reads any.
    pub profiles: Option<ProfileSource>,
    /// Where baselines are.
    pub baseline: Placement,
    /// Where the history is.
    pub history: Placement,
    /// Where the registry is.
    pub registry: Placement,
    /// Where alert rules are.
    pub alert_rule: Placement,
    /// Which database is opened.
    pub database: Database,
    /// Connections at most.
    pub pool_size: u32,
    /// Whether the server profiles itself.
    pub self_profile: bool,
    warnings: Vec<String>,
}

/// Why nothing can be served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPlan {
    /// Something needs profiles, and there is no source of them.
    #[error(
        "{0} needs profiles and has no source of them: set PROFILE_DATA_URL to another Flamewarden, or PYROSCOPE_URL to \
         a Pyroscope server, or add ReadPyroscopeProfile.sor.v1 to FUNCTION"
    )]
    NoProfiles(String),
}

impl Plan {
    /// What these settings ask for.
    ///
    /// # Errors
    /// Fails where something that is served lacks what it cannot do without.
    pub fn of(settings: &Settings) -> Result<Self, InvalidPlan> {
        let functions = settings.server.functions.clone();
        let (records, owners) = (functions.decide_with_records(), functions.decide_with_registry());
        let profiles = profile_source(settings, &functions)?;
        let place = |function, url: &Option<Url>, used| placement(url.as_ref(), functions.serve(function), used);
        let baseline = place(Function::Baseline, &settings.sor.baseline_url, records);
        let history = place(Function::History, &settings.sor.history_url, records);
        let registry = place(Function::Registry, &settings.sor.registry_url, owners);
        let alert_rule = place(Function::AlertRule, &settings.sor.alert_rule_url, false);
        let store = profiles == Some(ProfileSource::Embedded);
        let opens = store || [&baseline, &history, &registry, &alert_rule].contains(&&Placement::Local);
        let database = match (&settings.database.connect_to, opens) {
            (_, false) => Database::None,
            (ConnectTo::Embedded, true) => Database::Embedded,
            (ConnectTo::Url(_) | ConnectTo::Parts { .. }, true) => Database::External,
        };
        let keeps = matches!(profiles, Some(ProfileSource::Embedded | ProfileSource::Pyroscope(_)));
        let default_pool = if functions.count() == 1 { 5 } else { 20 };
        let mut plan = Self {
            self_profile: settings.self_profile.enabled.unwrap_or(keeps) && keeps,
            pool_size: settings.database.pool_size.unwrap_or(default_pool),
            functions,
            profiles,
            baseline,
            history,
            registry,
            alert_rule,
            database,
            warnings: Vec::new(),
        };
        plan.warnings = plan.gather_warnings(settings, keeps);
        Ok(plan)
    }

    /// What whoever starts the server should know.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The relational systems of record, as people and variables call them.
    fn relational(&self) -> [(&Placement, &'static str, &'static str); 4] {
        [
            (&self.baseline, "baselines", "BASELINE_URL"),
            (&self.history, "history", "HISTORY_URL"),
            (&self.registry, "registry", "REGISTRY_URL"),
            (&self.alert_rule, "alert rules", "ALERT_RULE_URL"),
        ]
    }

    fn gather_warnings(&self, settings: &Settings, keeps: bool) -> Vec<String> {
        let mut warnings = Vec::new();
        if !settings.server.host.is_loopback() {
            warnings.push(format!(
                "listening on {}, beyond this machine: anyone who reaches it may read and write",
                settings.server.host
            ));
        }
        let relational: Vec<_> = self.functions.iter().filter(|f| f.is_relational()).map(Function::as_str).collect();
        if self.database == Database::Embedded && !self.functions.is_all() && !relational.is_empty() {
            warnings.push(format!(
                "{} keeps its rows in an embedded database of this machine, as neither DATABASE_URL nor DB_HOST is set",
                relational.join(", ")
            ));
        }
        // No decision reads alert rules.
        let (records, owners) = (self.functions.decide_with_records(), self.functions.decide_with_registry());
        let wanted = [records, records, owners, false];
        for ((placement, name, variable), wanted) in self.relational().into_iter().zip(wanted) {
            if wanted && *placement == Placement::Off {
                warnings.push(format!("{name} is off: it is not served here and {variable} is not set"));
            }
        }
        let sor = &settings.sor;
        let ignored = [
            ("PROFILE_DATA_URL", sor.profile_data_url.as_ref(), self.profiles.is_some()),
            ("BASELINE_URL", sor.baseline_url.as_ref(), self.baseline != Placement::Off),
            ("HISTORY_URL", sor.history_url.as_ref(), self.history != Placement::Off),
            ("REGISTRY_URL", sor.registry_url.as_ref(), self.registry != Placement::Off),
            ("ALERT_RULE_URL", sor.alert_rule_url.as_ref(), self.alert_rule != Placement::Off),
        ];
        for (variable, url, used) in ignored {
            if url.is_some() && !used {
                warnings.push(format!("{variable} is ignored: nothing that is served here uses it"));
            }
        }
        if settings.pyroscope.url.is_some() && !matches!(self.profiles, Some(ProfileSource::Pyroscope(_))) {
            warnings
                .push("PYROSCOPE_URL is ignored: profiles come from PROFILE_DATA_URL, or nobody reads any".to_owned());
        }
        if settings.history.retention_days.is_some() && self.history != Placement::Local {
            warnings.push("HISTORY_RETENTION_DAYS is ignored: the history is not kept by this process".to_owned());
        }
        let records = self.functions.decide_with_records() && self.history != Placement::Off;
        if settings.history.repeats_every.is_some() && !records {
            warnings
                .push("HISTORY_REPEATS_EVERY is ignored: nothing that is served here writes the history".to_owned());
        }
        if settings.self_profile.enabled == Some(true) && !keeps {
            warnings.push(
                "SELF_PROFILE is ignored: this process has neither the embedded store nor PYROSCOPE_URL".to_owned(),
            );
        }
        warnings
    }
}

fn profile_source(settings: &Settings, functions: &Functions) -> Result<Option<ProfileSource>, InvalidPlan> {
    let serves = functions.serve(Function::ProfileData);
    let reader = functions.decisions().next().map(|decision| decision.as_str().to_owned());
    if !serves && reader.is_none() {
        return Ok(None);
    }
    if let Some(url) = &settings.sor.profile_data_url {
        return Ok(Some(ProfileSource::Remote(url.clone())));
    }
    match (&settings.pyroscope.url, reader) {
        (Some(url), _) => Ok(Some(ProfileSource::Pyroscope(url.clone()))),
        (None, Some(reader)) if !serves => Err(InvalidPlan::NoProfiles(reader)),
        (None, _) => Ok(Some(ProfileSource::Embedded)),
    }
}

/// `served`: its routes are; `used`: a decision wants it.
fn placement(url: Option<&Url>, served: bool, used: bool) -> Placement {
    match url {
        Some(url) if served || used => Placement::Remote(url.clone()),
        None if served => Placement::Local,
        _ => Placement::Off,
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "serves: {}", self.functions)?;
        match &self.profiles {
            None => writeln!(f, "profiles: not read")?,
            Some(ProfileSource::Embedded) => writeln!(f, "profiles: the embedded store")?,
            Some(ProfileSource::Pyroscope(url)) => writeln!(f, "profiles: Pyroscope at {url}")?,
            Some(ProfileSource::Remote(url)) => writeln!(f, "profiles: Flamewarden at {url}")?,
        }
        for (placement, name, _) in self.relational() {
            match placement {
                Placement::Local => writeln!(f, "{name}: local")?,
                Placement::Remote(url) => writeln!(f, "{name}: Flamewarden at {url}")?,
                Placement::Off => writeln!(f, "{name}: off")?,
            }
        }
        let database = match self.database {
            Database::None => "none",
            Database::External => "external",
            Database::Embedded => "embedded",
        };
        write!(f, "database: {database}, at most {} connections\nself-profile: {}", self.pool_size, self.self_profile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const PROFILE: &str = "ReadPyroscopeProfile.sor.v1";
    const BASELINE: &str = "ReadPyroscopeBaseline.sor.v1";
    const HISTORY: &str = "CreatePyroscopeTriageHistory.sor.v1";
    const REGISTRY: &str = "ReadPyroscopeServiceRegistry.sor.v1";
    const RULES: &str = "ReadPyroscopeAlertRule.sor.v1";
    const V1: &str = "ReadPyroscopeTriageAssessment.v1";
    const V2: &str = "ReadPyroscopeTriageAssessment.v2";
    const FLEET: &str = "ReadPyroscopeFleetSearch.v2";
    const P: (&str, &str) = ("PYROSCOPE_URL", "http://pyroscope:4040");
    const D: (&str, &str) = ("PROFILE_DATA_URL", "http://profiles");
    const B: (&str, &str) = ("BASELINE_URL", "http://baselines");
    const H: (&str, &str) = ("HISTORY_URL", "http://history");
    const R: (&str, &str) = ("REGISTRY_URL", "http://registry");
    const A: (&str, &str) = ("ALERT_RULE_URL", "http://rules");
    const DB: (&str, &str) = ("DATABASE_URL", "postgres://u:p@db/f");

    fn plan(functions: &[&str], variables: &[(&str, &str)]) -> Result<Plan, String> {
        let functions = functions.join(",");
        let all = variables.iter().copied().chain([("FUNCTION", functions.as_str()), ("DATA_DIR", "/tmp/x")]);
        let (settings, _) = Settings::load(None, all.map(|(n, v)| (n.to_owned(), v.to_owned()))).unwrap();
        Plan::of(&settings).map_err(|error| error.to_string())
    }

    fn short(plan: &Plan) -> String {
        let profiles = match &plan.profiles {
            None => "-",
            Some(ProfileSource::Embedded) => "store",
            Some(ProfileSource::Pyroscope(_)) => "pyroscope",
            Some(ProfileSource::Remote(_)) => "remote",
        };
        let place = |placement: &Placement| match placement {
            Placement::Local => "local",
            Placement::Remote(_) => "remote",
            Placement::Off => "off",
        };
        let self_profile = if plan.self_profile { "profiled" } else { "not" };
        let relational = plan.relational().map(|(placement, ..)| place(placement)).join(" ");
        format!("{profiles} {relational} {:?} {} {self_profile}", plan.database, plan.pool_size)
    }

    #[rstest]
    #[case(&[], &[], "store local local local local Embedded 20 profiled")]
    #[case(&["all"], &[DB, P], "pyroscope local local local local External 20 profiled")]
    #[case(&["all"], &[B, H, P], "pyroscope remote remote local local Embedded 20 profiled")]
    #[case(&["all"], &[B, H, R, P], "pyroscope remote remote remote local Embedded 20 profiled")]
    #[case(&["all"], &[B, H, R, A, P], "pyroscope remote remote remote remote None 20 profiled")]
    #[case(&["all"], &[D], "remote local local local local Embedded 20 not")]
    #[case(&["all"], &[("SELF_PROFILE", "false")], "store local local local local Embedded 20 not")]
    #[case(&[PROFILE], &[], "store off off off off Embedded 5 profiled")]
    #[case(&[PROFILE], &[P], "pyroscope off off off off None 5 profiled")]
    #[case(&[PROFILE], &[D], "remote off off off off None 5 not")]
    #[case(&[BASELINE], &[DB], "- local off off off External 5 not")]
    #[case(&[BASELINE], &[B], "- remote off off off None 5 not")]
    #[case(&[BASELINE, HISTORY], &[], "- local local off off Embedded 20 not")]
    #[case(&[REGISTRY], &[DB], "- off off local off External 5 not")]
    #[case(&[REGISTRY], &[R], "- off off remote off None 5 not")]
    #[case(&[RULES], &[DB], "- off off off local External 5 not")]
    #[case(&[RULES], &[A], "- off off off remote None 5 not")]
    #[case(&[V1], &[P, B, H, R], "pyroscope off off off off None 5 profiled")]
    #[case(&[V1], &[D], "remote off off off off None 5 not")]
    #[case(&[V2], &[P], "pyroscope off off off off None 5 profiled")]
    #[case(&[V2], &[D, B, H, R], "remote remote remote remote off None 5 not")]
    #[case(&[V2, BASELINE], &[D, DB], "remote local off off off External 20 not")]
    #[case(&[V2, PROFILE], &[DB, ("DB_POOL_SIZE", "9")], "store off off off off External 9 profiled")]
    #[case(&[FLEET], &[D, B, H, R], "remote off off remote off None 5 not")]
    #[case(&[FLEET, BASELINE], &[P, DB], "pyroscope local off off off External 20 profiled")]
    fn settles_each_case(#[case] functions: &[&str], #[case] variables: &[(&str, &str)], #[case] expected: &str) {
        assert_eq!(short(&plan(functions, variables).unwrap()), expected);
    }

    #[rstest]
    #[case(&[V2], &[DB])]
    #[case(&[V1, BASELINE], &[])]
    fn refuses_a_decision_without_a_source_and_names_both(
        #[case] functions: &[&str],
        #[case] variables: &[(&str, &str)],
    ) {
        let error = plan(functions, variables).unwrap_err();
        assert!(error.contains("PROFILE_DATA_URL") && error.contains("PYROSCOPE_URL"), "{error}");
    }

    #[rstest]
    #[case(&[], &[], "")]
    #[case(&[], &[("HOST", "0.0.0.0")], "anyone who reaches it")]
    #[case(&[BASELINE], &[], "keeps its rows in an embedded database")]
    #[case(&[V2], &[P, H, R], "baselines is off")]
    #[case(&[V2], &[P, B, H], "registry is off: it is not served here and REGISTRY_URL is not set")]
    #[case(&[V1], &[P, H], "HISTORY_URL is ignored")]
    #[case(&[V1], &[P, R], "REGISTRY_URL is ignored")]
    #[case(&[], &[D, P], "PYROSCOPE_URL is ignored")]
    #[case(&[V2], &[P, B, H, R, A], "ALERT_RULE_URL is ignored: nothing that is served here uses it")]
    #[case(&[FLEET], &[P], "registry is off")]
    #[case(&[FLEET], &[P, R, H], "HISTORY_URL is ignored")]
    #[case(&[], &[D, ("SELF_PROFILE", "true")], "SELF_PROFILE is ignored")]
    #[case(&[], &[("HISTORY_RETENTION_DAYS", "30")], "")]
    #[case(&[], &[H, ("HISTORY_RETENTION_DAYS", "30")], "HISTORY_RETENTION_DAYS is ignored")]
    #[case(&[V1], &[P, ("HISTORY_RETENTION_DAYS", "30")], "HISTORY_RETENTION_DAYS is ignored")]
    #[case(&[], &[H, ("HISTORY_REPEATS_EVERY", "1h")], "")]
    #[case(&[V1], &[P, ("HISTORY_REPEATS_EVERY", "1h")], "HISTORY_REPEATS_EVERY is ignored")]
    fn warns(#[case] functions: &[&str], #[case] variables: &[(&str, &str)], #[case] expected: &str) {
        let plan = plan(functions, variables).unwrap();
        let warnings = plan.warnings().join("\n");
        assert!(warnings.contains(expected) && warnings.is_empty() == expected.is_empty(), "{warnings}");
        assert_eq!(plan.warnings().len(), usize::from(!expected.is_empty()), "{warnings}");
    }
}
