//! The optional conditions of a rule: which apps it covers, what it measures, and how long that must last.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::pattern::FunctionPattern;
use crate::kernel::{AppName, InvalidName, Text255, Tier, check_text};
use crate::verdict::Category;

/// Why members of a rule do not go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRule {
    /// Services of one app.
    #[error("narrows a rule for every app: appName must be \"*\"")]
    ServicesOfOneApp,
    /// A sum of any functions.
    #[error("sum and total are of the functions that functionPattern names: give one")]
    MeasureWithoutPattern,
    /// A category of some functions.
    #[error("is measured over all functions: leave out functionPattern and measure")]
    CategoryOfFunctions,
}

impl InvalidRule {
    /// The member to look at.
    pub fn member(self) -> &'static str {
        match self {
            Self::ServicesOfOneApp => "services",
            Self::MeasureWithoutPattern => "measure",
            Self::CategoryOfFunctions => "category",
        }
    }
}

/// Which apps a rule is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    app_name: AppName,
    services: Option<ServiceFilter>,
}

impl Scope {
    /// The name that stands for every app.
    pub const EVERY_APP: &'static str = "*";

    /// The scope of these members.
    ///
    /// # Errors
    /// Services narrow the rules for every app only.
    pub fn new(app_name: AppName, services: Option<ServiceFilter>) -> Result<Self, InvalidRule> {
        if services.is_some() && app_name.as_str() != Self::EVERY_APP {
            return Err(InvalidRule::ServicesOfOneApp);
        }
        Ok(Self { app_name, services })
    }

    /// The app, or `*`.
    pub fn app_name(&self) -> &AppName {
        &self.app_name
    }

    /// Which registered services; `None` means every app.
    pub fn services(&self) -> Option<&ServiceFilter> {
        self.services.as_ref()
    }

    /// The one app that it is for; `None` for every app.
    pub fn app(&self) -> Option<&AppName> {
        Some(&self.app_name).filter(|app| app.as_str() != Self::EVERY_APP)
    }
}

/// Which registered services: those that are alike in every member given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceFilter {
    /// Services of this tier: 1 to 20 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 20, example = "critical")]
    pub tier: Option<Tier>,
    /// Services of this team: 1 to 255 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255, example = "orders")]
    pub team_owner: Option<Text255>,
    /// Services of this environment: 1 to 255 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, min_length = 1, max_length = 255, example = "production")]
    pub environment: Option<Text255>,
}

impl ServiceFilter {
    /// As an object.
    pub(super) fn to_value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

impl TryFrom<Value> for ServiceFilter {
    type Error = serde_json::Error;

    fn try_from(object: Value) -> Result<Self, serde_json::Error> {
        serde_json::from_value(object)
    }
}

/// How the shares of several functions make one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Measure {
    /// The largest self share of a matching function.
    #[default]
    #[serde(rename = "self")]
    Largest,
    /// The self shares of all matching functions together.
    Sum,
    /// The share of the stacks with any matching function, each once.
    Total,
}

impl Measure {
    /// The name in bodies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Largest => "self",
            Self::Sum => "sum",
            Self::Total => "total",
        }
    }
}

impl std::str::FromStr for Measure {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::Largest, Self::Sum, Self::Total];
        all.into_iter().find(|measure| measure.as_str() == text).ok_or(format!("unknown measure: {text:?}"))
    }
}

/// A category that may be a finding of triage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct RuleCategory(Category);

impl RuleCategory {
    /// The category.
    pub fn get(self) -> Category {
        self.0
    }

    /// Its id.
    pub fn as_str(self) -> &'static str {
        self.0.as_str()
    }
}

impl std::str::FromStr for RuleCategory {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let usable = || Category::ALL.iter().filter(|category| category.competes());
        usable().find(|category| category.as_str() == text).map(|category| Self(*category)).ok_or_else(|| {
            let names: Vec<_> = usable().map(|category| category.as_str()).collect();
            format!("{text:?} is no category that a rule can be for: give one of {}", names.join(", "))
        })
    }
}

impl<'de> Deserialize<'de> for RuleCategory {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// What a rule measures: functions, or a category.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Measured {
    pattern: Option<FunctionPattern>,
    measure: Option<Measure>,
    category: Option<RuleCategory>,
}

/// What is to be measured, read from the members of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What<'a> {
    /// The largest self share of a function; of any, but those that wait or belong to the profiler, without a pattern.
    Largest(Option<&'a FunctionPattern>),
    /// The self shares of the functions together.
    Sum(&'a FunctionPattern),
    /// The stacks that hold any of the functions.
    Total(&'a FunctionPattern),
    /// The share of a category, as a finding of triage has it.
    Category(Category),
}

impl Measured {
    /// What these members measure.
    ///
    /// # Errors
    /// They do not go together.
    pub fn new(
        pattern: Option<FunctionPattern>,
        measure: Option<Measure>,
        category: Option<RuleCategory>,
    ) -> Result<Self, InvalidRule> {
        if category.is_some() && (pattern.is_some() || measure.is_some()) {
            return Err(InvalidRule::CategoryOfFunctions);
        }
        if pattern.is_none() && measure.is_some_and(|measure| measure != Measure::Largest) {
            return Err(InvalidRule::MeasureWithoutPattern);
        }
        Ok(Self { pattern, measure, category })
    }

    /// Which functions, if it names any.
    pub fn pattern(&self) -> Option<&FunctionPattern> {
        self.pattern.as_ref()
    }

    /// How their shares make one, if it says so.
    pub fn measure(&self) -> Option<Measure> {
        self.measure
    }

    /// Which category, if it is for one.
    pub fn category(&self) -> Option<RuleCategory> {
        self.category
    }

    /// What is to be measured.
    pub fn what(&self) -> What<'_> {
        match (self.category, &self.pattern, self.measure.unwrap_or_default()) {
            (Some(category), ..) => What::Category(category.get()),
            (None, Some(pattern), Measure::Sum) => What::Sum(pattern),
            (None, Some(pattern), Measure::Total) => What::Total(pattern),
            (None, pattern, _) => What::Largest(pattern.as_ref()),
        }
    }
}

/// How long the window is that a rule looks at: 300 s, 900 s or 3,600 s. It is evaluated every fifth of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "i64")]
pub struct RuleWindow(i32);

impl RuleWindow {
    /// The windows that there are.
    const ALL: [i32; 3] = [300, 900, 3_600];
    /// The longest.
    pub const HOUR: Self = Self(3_600);

    /// Its length in seconds.
    pub fn seconds(self) -> i32 {
        self.0
    }

    /// How many seconds pass between two evaluations.
    pub fn interval_seconds(self) -> i32 {
        self.0 / 5
    }
}

impl Default for RuleWindow {
    fn default() -> Self {
        Self(300)
    }
}

impl TryFrom<i64> for RuleWindow {
    type Error = String;

    fn try_from(seconds: i64) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|window| i64::from(*window) == seconds);
        known.map(Self).ok_or_else(|| format!("is {seconds} s, must be 300, 900 or 3600"))
    }
}

/// How long something must last: 0 to 86,400 s.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "i64")]
pub struct Lasting(i32);

impl Lasting {
    /// Seconds.
    pub fn seconds(self) -> i32 {
        self.0
    }
}

impl TryFrom<i64> for Lasting {
    type Error = String;

    fn try_from(seconds: i64) -> Result<Self, String> {
        let within = i32::try_from(seconds).ok().filter(|seconds| (0..=86_400).contains(seconds));
        within.map(Self).ok_or_else(|| format!("is {seconds} s, must be from 0 to 86400"))
    }
}

/// How long a rule looks and waits; what is absent is as usual.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timing {
    /// The window looked at; 300 s if absent.
    pub window: Option<RuleWindow>,
    /// How long the share must be over before it is told; as long as the window if absent.
    pub hold: Option<Lasting>,
    /// How long the share must be under before it is over; 300 s if absent.
    pub keep_firing: Option<Lasting>,
}

impl Timing {
    /// The window looked at.
    pub fn window(self) -> RuleWindow {
        self.window.unwrap_or_default()
    }

    /// How many seconds the share must be over before it is told.
    pub fn hold_seconds(self) -> i32 {
        self.hold.map_or(self.window().seconds(), Lasting::seconds)
    }

    /// How many seconds the share must be under before it is over.
    pub fn keep_firing_seconds(self) -> i32 {
        self.keep_firing.map_or(300, Lasting::seconds)
    }
}

/// Where it is written what to do: an address of http or https, up to 255 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct RunbookUrl(Text255);

/// Why a text is no [`RunbookUrl`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRunbook {
    /// Not a text that can be kept.
    #[error(transparent)]
    Text(#[from] InvalidName),
    /// Nothing that a browser opens.
    #[error("must be an address that begins with http:// or https://")]
    Address,
}

impl RunbookUrl {
    /// The address as it was written.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl TryFrom<String> for RunbookUrl {
    type Error = InvalidRunbook;

    fn try_from(text: String) -> Result<Self, InvalidRunbook> {
        check_text(&text, Text255::MAX_BYTES)?;
        let is_web = |url: &url::Url| ["http", "https"].contains(&url.scheme()) && url.has_host();
        if !url::Url::parse(&text).is_ok_and(|url| is_web(&url)) {
            return Err(InvalidRunbook::Address);
        }
        Ok(Self(text.parse()?))
    }
}

#[cfg(test)]
mod tests;
