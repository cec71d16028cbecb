//! How profiles are judged: what a frame claims, what a profile's stacks add up to, how certain that is, and what to do
//! about it.
//!
//! Pure and synchronous: it takes a profile and returns findings. It uses no network, no database and no clock.
//!
//! The modules, in the order in which data passes through them. Each imports only from those above it.
//!
//! | Step | What it answers |
//! |---|---|
//! | `category` | the words of a verdict: categories, runtimes, whose code a function is |
//! | `events` | which profiles count events, neither time nor bytes |
//! | `names` | what a frame is called, however a profiler spells it |
//! | `catalogue` | which rule knows a function, and what it says of a category |
//! | `claims` | which sample is claimed by which category |
//! | `reliability` | how sure a share is, and what is wrong with the data |
//! | `limits` | which functions are over their approved limits |
//! | `findings` | what the claims of one profile add up to, and what to do about it |
//! | `compare` | what changed between two profiles of an app |
//! | `fleet` | what the profiles of many apps add up to |

mod catalogue;
mod category;
mod claims;
mod compare;
mod events;
mod findings;
mod fleet;
mod limits;
mod names;
mod reliability;

pub use catalogue::{Advice, Cause, Explanation, Reach, Rule, RuleError, RuleIndex, Rules, Threshold, Visibility};
pub use category::{Category, Layer, Origin, Runtime};
pub use claims::{Claim, Claims, StackExplanation};
pub use compare::{
    ChangeVerdict, ChangedFunction, Compared, Comparison, DiffVerdict, Group, Load, Membership, OwnNoise, Side,
};
pub use findings::{
    AtMost, CategoryTicks, CauseShare, Change, Diagnosis, Evidence, Finding, FirstProfile, Ground, KindOutcome,
    LockWait, Locks, NoData, ObservedTime, ProfileAssessment, Rate, RateOver, Responsible, Since, Site, Subject,
    Summary, TopFunction, Verdict, Was, change, compared_sentence, cores_text, cost_of_allocation, diagnosis_name,
    fallback_name, gone, grouped, label, name_allocators, since, summarise, weigh_allocations,
};
pub use fleet::{
    AppFunctions, AppMatches, FleetApp, Hotspot, HotspotService, Hotspots, Match, Matches, Needle, Ranking,
};
pub use limits::{Limit, LimitReport, LimitViolation, check_limits};
pub use names::{key, short_name};
pub use reliability::{
    BUNCHING, Confidence, LabelValue, QualityCode, QualityNote, Share, SourceFacts, estimated_samples,
};
