//! Finds the purpose or transport that a category's ticks serve. It then is the diagnosis, not the category.

use super::diagnosis::{MUCH_MORE, reaches};
use super::finding::{Finding, Judging};
use crate::kernel::ProfileType;
use crate::verdict::category::{Category, Layer};

/// A category with this share of its ticks beneath a purpose serves it, percent.
const BENEATH: f64 = 60.0;
/// Mechanisms that allocate, and say more than that where most of the allocator's ticks are theirs.
const ALLOCATING: [Category; 2] = [Category::CollectionResizing, Category::StringAllocation];

/// The purpose or transport that a category's ticks serve: of a higher layer, surely above its own threshold with all
/// that lies beneath it, and either most of the category's ticks are beneath it, or it holds much more than the
/// category. A purpose that is too small by itself may be its own, and one that leads gives way to a far larger one.
pub(super) fn purpose_of(judging: &Judging<'_>, leader: &Finding) -> Option<Category> {
    let whole = judging.tally.claimed(leader.category) as f64;
    let serves = |purpose: &Category| {
        let threshold = judging.rules.threshold(*purpose, judging.kind).percent;
        let inclusive = judging.share(judging.tally.inclusive(*purpose));
        let own = judging.percent(judging.tally.claimed(*purpose));
        if !inclusive.surely_reaches(threshold) {
            return false;
        }
        let holds_more = inclusive.percent >= leader.share.percent * MUCH_MORE && own * 2.0 >= threshold;
        if *purpose == leader.category {
            return leader.share.percent < threshold && own * 2.0 >= threshold && purpose.layer() == Layer::Purpose;
        }
        let most_is_beneath = judging.tally.beneath(*purpose, leader.category) as f64 * 100.0 >= whole * BENEATH;
        let is_above = purpose.layer() > leader.category.layer();
        if purpose.layer() == Layer::Purpose && leader.category.layer() == Layer::Purpose {
            return is_far_larger(judging, *purpose, leader.category);
        }
        let allocates =
            leader.category == Category::Allocation && ALLOCATING.contains(purpose) && reaches(judging, leader);
        is_above && (most_is_beneath || holds_more && purpose.layer() == Layer::Purpose) || allocates && most_is_beneath
    };
    let inclusive = |category: &Category| judging.tally.inclusive(*category);
    let by_layer =
        |a: &Category, b: &Category| a.layer().cmp(&b.layer()).then(inclusive(a).cmp(&inclusive(b))).then(b.cmp(a));
    let candidates = || Category::ALL.iter().copied().filter(serves);
    let mut purpose = candidates().max_by(by_layer)?;
    // Of nested purposes the inner one says more, if it holds most of the outer one.
    let inside = |outer: Category| {
        let is_inside = |inner: &Category| {
            *inner != outer
                && inclusive(inner) < inclusive(&outer)
                && judging.tally.both(outer, *inner) as f64 * 100.0 >= inclusive(&outer) as f64 * BENEATH
        };
        candidates().filter(is_inside).max_by(by_layer)
    };
    while let Some(inner) = inside(purpose) {
        purpose = inner;
    }
    Some(purpose)
}

/// Whether a purpose takes much more time than another with all that lies beneath either: most of what it costs is claimed
/// by what it calls. One that is most of the larger purpose stays, as of nested purposes the inner one says more. Of memory
/// it is asked who allocates, not for whom.
fn is_far_larger(judging: &Judging<'_>, purpose: Category, leader: Category) -> bool {
    let inclusive = |category| judging.tally.inclusive(category) as f64;
    let is_time = matches!(judging.kind, ProfileType::Cpu | ProfileType::Wall | ProfileType::Samples);
    let shared = judging.tally.both(purpose, leader) as f64;
    is_time && inclusive(purpose) >= inclusive(leader) * MUCH_MORE && shared * 100.0 < inclusive(purpose) * BENEATH
}
