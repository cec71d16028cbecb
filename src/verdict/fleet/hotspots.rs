//! Which functions cost most across a fleet.

use std::cmp::Ordering;
use std::hash::BuildHasher;

use hashbrown::hash_table::Entry;
use hashbrown::{DefaultHashBuilder, HashTable};

use super::reduced::{AppFunction, AppFunctions};
use crate::kernel::percent_of;
use crate::verdict::category::{Category, Origin};

/// By what hotspots are ranked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Ranking {
    /// Services that run it × its largest self share.
    Impact,
    /// Processor cores it takes in all services together.
    Cores,
}

/// A function of one or more services.
#[derive(Debug, Clone, PartialEq)]
pub struct Hotspot {
    /// The function, as the service spells it that it takes the largest share of.
    pub function: String,
    /// What most of its ticks there are claimed as.
    pub category: Option<Category>,
    /// Whose code it is, there.
    pub origin: Origin,
    /// Its largest self share of a service's ticks, percent; 0 where no service has enough samples to tell.
    pub max_self_percent: f64,
    /// The number of services × the largest self share.
    pub impact: f64,
    /// cpu: the cores it takes in all services, where ticks are time and the window's length is known.
    pub cores: Option<f64>,
    /// The services that run it, by share descending, then by app.
    pub services: Vec<HotspotService>,
}

/// A service that runs a hotspot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HotspotService {
    /// The app's place in the list of apps.
    pub app: usize,
    /// The function's self share of its ticks, percent.
    pub self_percent: f64,
    /// cpu: the cores it takes there.
    pub cores: Option<f64>,
    /// Whether the share is not used because there are too few samples.
    pub low_samples: bool,
}

/// The functions of all apps, added up as the apps arrive.
#[derive(Debug, Default)]
pub struct Hotspots {
    by_key: HashTable<u32>,
    seed: DefaultHashBuilder,
    functions: Vec<Function>,
    /// Each function of each app.
    uses: Vec<Use>,
}

#[derive(Debug)]
struct Function {
    key: Box<str>,
    spelling: Option<Box<str>>,
    category: Option<Category>,
    origin: Origin,
    /// The service of which it takes the largest share.
    heaviest: (f64, u32),
    /// The largest share in services with enough samples.
    max_self_percent: f64,
    services: u32,
    nanoseconds: Option<i64>,
}

#[derive(Debug, Clone, Copy)]
struct Use {
    function: u32,
    app: u32,
    self_percent: f64,
    nanoseconds: Option<i64>,
    low_samples: bool,
}

impl Function {
    fn name(&self) -> &str {
        self.spelling.as_deref().unwrap_or(&self.key)
    }

    fn impact(&self) -> f64 {
        f64::from(self.services) * self.max_self_percent
    }

    fn rank(&self, other: &Self, ranking: Ranking) -> Ordering {
        let by_impact = other.impact().total_cmp(&self.impact());
        let first = match ranking {
            Ranking::Impact => by_impact,
            Ranking::Cores => other.nanoseconds.cmp(&self.nanoseconds).then(by_impact),
        };
        first.then_with(|| self.name().cmp(other.name()))
    }
}

impl Hotspots {
    /// Adds an app by its place in the list of apps, each once.
    pub fn add(&mut self, app: usize, of: AppFunctions) {
        let Ok(app) = u32::try_from(app) else { return };
        if of.total <= 0 {
            return;
        }
        for function in of.functions {
            let used = Use {
                function: self.place(&function.key),
                app,
                self_percent: percent_of(function.ticks, of.total),
                nanoseconds: of.tick_ns.map(|ns| function.ticks.saturating_mul(ns)),
                low_samples: of.few_samples,
            };
            self.count(function, used);
            self.uses.push(used);
        }
    }

    /// The place of a function, a new one at the end.
    fn place(&mut self, key: &str) -> u32 {
        let Self { by_key, seed, functions, .. } = self;
        let of = |place: &u32| functions.get(*place as usize).map_or("", |function| &*function.key);
        match by_key.entry(seed.hash_one(key), |place| of(place) == key, |place| seed.hash_one(of(place))) {
            Entry::Occupied(found) => *found.get(),
            Entry::Vacant(free) => {
                #[expect(clippy::cast_possible_truncation, reason = "far fewer functions than 2^32 fit into memory")]
                let place = functions.len() as u32;
                free.insert(place);
                place
            }
        }
    }

    fn count(&mut self, function: AppFunction, used: Use) {
        let AppFunction { key, spelling, category, origin, .. } = function;
        let enough = if used.low_samples { 0.0 } else { used.self_percent };
        let Some(known) = self.functions.get_mut(used.function as usize) else {
            self.functions.push(Function {
                key,
                spelling,
                category,
                origin,
                heaviest: (used.self_percent, used.app),
                max_self_percent: enough,
                services: 1,
                nanoseconds: used.nanoseconds,
            });
            return;
        };
        known.services += 1;
        known.max_self_percent = known.max_self_percent.max(enough);
        known.nanoseconds = match (known.nanoseconds, used.nanoseconds) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            (a, b) => a.or(b),
        };
        let (percent, app) = known.heaviest;
        // Apps arrive in any order, so of equal shares the first in the list decides.
        if used.self_percent > percent || used.self_percent.total_cmp(&percent).is_eq() && used.app < app {
            known.heaviest = (used.self_percent, used.app);
            (known.spelling, known.category, known.origin) = (spelling, category, origin);
        }
    }

    /// How many functions were seen.
    pub fn function_count(&self) -> usize {
        self.functions.len()
    }

    /// The first `limit` functions: by what is asked, descending, then by name. `seconds` is the window's length.
    pub fn ranked(&self, ranking: Ranking, limit: usize, seconds: Option<f64>) -> Vec<Hotspot> {
        let mut places: Vec<(usize, &Function)> = self.functions.iter().enumerate().collect();
        let order = |a: &(usize, &Function), b: &(usize, &Function)| a.1.rank(b.1, ranking);
        if places.len() > limit {
            places.select_nth_unstable_by(limit, order);
            places.truncate(limit);
        }
        places.sort_unstable_by(order);
        let mut of_function: Vec<Option<u32>> = vec![None; self.functions.len()];
        for (rank, (place, _)) in (0_u32..).zip(&places) {
            if let Some(slot) = of_function.get_mut(*place) {
                *slot = Some(rank);
            }
        }
        let cores = |ns: Option<i64>| Some(ns? as f64 / 1e9 / seconds.filter(|seconds| *seconds > 0.0)?);
        let mut services: Vec<Vec<HotspotService>> = vec![Vec::new(); places.len()];
        for used in &self.uses {
            let rank = of_function.get(used.function as usize).copied().flatten();
            if let Some(list) = rank.and_then(|rank| services.get_mut(rank as usize)) {
                list.push(HotspotService {
                    app: used.app as usize,
                    self_percent: used.self_percent,
                    cores: cores(used.nanoseconds),
                    low_samples: used.low_samples,
                });
            }
        }
        let shown = |((_, function), mut services): ((usize, &Function), Vec<HotspotService>)| {
            services.sort_unstable_by(|a, b| b.self_percent.total_cmp(&a.self_percent).then(a.app.cmp(&b.app)));
            Hotspot {
                function: function.name().to_owned(),
                category: function.category,
                origin: function.origin,
                max_self_percent: function.max_self_percent,
                impact: function.impact(),
                cores: cores(function.nanoseconds),
                services,
            }
        };
        places.into_iter().zip(services).map(shown).collect()
    }
}
