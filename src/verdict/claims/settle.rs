//! Where a claim gives way to what stands above it.

use super::engine::{Claim, Judge, ROOT_DEPTH};
use crate::profile::FunctionId;
use crate::verdict::catalogue::Rule;
use crate::verdict::category::{Category, Origin, Runtime};

/// How often a claim may give way to one further up.
const STEPS_UP: usize = 4;

impl<'j> Judge<'j> {
    /// Looks above the claim where its rule says that what stands there knows better: a few steps, each further up.
    pub(super) fn settle(
        &self,
        mut claim: Claim,
        mut rule: &'j Rule,
        mut above: &[FunctionId],
        runtime: Option<Runtime>,
    ) -> Claim {
        for _ in 0..STEPS_UP {
            let Some((at, better, upper)) = self.better(&claim, rule, above, runtime) else { break };
            (claim, rule, above) = (better, upper, above.get(at + 1..).unwrap_or(&[]));
        }
        match claim.category {
            Category::Idle if !rule.never_runs && !self.parked_is_idle => {
                Claim { category: Category::Scheduling, ..claim }
            }
            Category::ThreadWaiting | Category::Scheduling => self.under_idle_worker(claim, above, runtime),
            _ => claim,
        }
    }

    /// The frame above that the rule yields to, if nothing without a rule stands between. Where time elapses, a thread
    /// that the kernel switched away does what made it sleep.
    fn better(
        &self,
        claim: &Claim,
        rule: &Rule,
        above: &[FunctionId],
        runtime: Option<Runtime>,
    ) -> Option<(usize, Claim, &'j Rule)> {
        let switched = claim.category == Category::Scheduling && self.parked_is_idle && rule.runtime == Runtime::Kernel;
        if !rule.yields() && !switched {
            return None;
        }
        for (at, frame) in above.iter().enumerate().take(ROOT_DEPTH) {
            let (index, upper) = self.rule(*frame, runtime)?;
            let Some(category) = upper.category else {
                if upper.pass_through {
                    continue;
                }
                return None;
            };
            if rule.yields_to(category) || switched && category != Category::Scheduling {
                let found = Claim { category, frame: *frame, rule: Some(index), counted: upper.counted, ..*claim };
                return Some((at, found, upper));
            }
        }
        None
    }

    /// A parking primitive under an idle worker is idle; on a cpu profile its cost is scheduling.
    fn under_idle_worker(&self, claim: Claim, above: &[FunctionId], runtime: Option<Runtime>) -> Claim {
        for frame in above {
            let Some((index, rule)) = self.rule(*frame, runtime) else {
                if self.info(*frame).origin == Origin::Runtime {
                    continue;
                }
                break;
            };
            match rule.category {
                Some(Category::Idle) if self.parked_is_idle || rule.never_runs => {
                    return Claim { category: Category::Idle, frame: *frame, rule: Some(index), ..claim };
                }
                Some(Category::Idle) => {
                    return Claim { category: Category::Scheduling, frame: *frame, rule: Some(index), ..claim };
                }
                // A scheduler that found nothing to run parks its own thread.
                Some(Category::Scheduling) if claim.category == Category::ThreadWaiting => {
                    let category = if self.parked_is_idle { Category::Idle } else { Category::Scheduling };
                    return Claim { category, frame: *frame, rule: Some(index), ..claim };
                }
                Some(Category::ThreadWaiting | Category::Scheduling | Category::LockContention) => {}
                None if rule.pass_through => {}
                _ => break,
            }
        }
        claim
    }
}
