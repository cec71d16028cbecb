//! What an allocation costs the processor.

use std::sync::Arc;

use super::assessment::ProfileAssessment;
use super::diagnosis::Ground;
use super::finding::Finding;
use crate::kernel::ProfileType;
use crate::verdict::category::Category;
use crate::verdict::reliability::{Confidence, Share, highest_severity};

/// The share of the processor that an app spends on allocating and collecting, of 1. Absent where its cpu profile has too
/// little to say or cannot show the collector.
pub fn cost_of_allocation(cpu: &ProfileAssessment) -> Option<f64> {
    let enough = cpu.confidence.is_none_or(|c| c != Confidence::Insufficient);
    if cpu.kind != ProfileType::Cpu || !cpu.has_data() || !enough {
        return None;
    }
    let costs = [Category::GcPressure, Category::Allocation];
    if costs.iter().any(|c| cpu.finding(*c).is_some_and(|f| !f.observable)) {
        return None;
    }
    let cost: f64 = costs.iter().filter_map(|c| cpu.finding(*c)).map(|f| f.share.percent / 100.0).sum();
    Some(cost.min(1.0))
}

/// Weighs the findings of an alloc profile by what allocation costs the app's cpu: impact = share × cost, and severity is
/// taken from the impact. Profiles of other kinds stay as they are.
pub fn weigh_allocations(alloc: &mut ProfileAssessment, cost: f64) {
    if alloc.kind != ProfileType::Alloc {
        return;
    }
    let samples = alloc.sample_count;
    let severity = |share: &Share| scaled(share, cost).severity().min(highest_severity(samples));
    for finding in alloc.findings.iter_mut().filter(|f| f.observable && f.category.competes()) {
        finding.impact_percent = Some(finding.share.percent * cost);
        finding.severity = severity(&finding.share);
    }
    if matches!(alloc.diagnosis.ground, Ground::Finding(_)) {
        alloc.diagnosis.severity = severity(&alloc.diagnosis.share);
    }
}

/// Says in the advice on collecting and allocating who allocates: the functions of the app's alloc profile of the same
/// window. Where the app sends that and it was not asked for, says
/// how to ask.
pub fn name_allocators(cpu: &mut Arc<ProfileAssessment>, alloc: Option<&ProfileAssessment>) {
    let sentence = match alloc.map(|alloc| alloc.allocators.as_slice()) {
        None if cpu.kinds.contains(&ProfileType::Alloc) => {
            " Ask for types=cpu,alloc to see which code allocates.".to_owned()
        }
        None | Some([]) => return,
        Some([one]) => format!(" {:.0} % is allocated in {}.", one.percent, one.function),
        Some([one, two, ..]) => format!(
            " {:.0} % is allocated in {} and {:.0} % in {}.",
            one.percent, one.function, two.percent, two.function
        ),
    };
    let is_about_it = |category: Category| matches!(category, Category::GcPressure | Category::Allocation);
    let is_meant = |finding: &Finding| finding.observable && is_about_it(finding.category);
    if !cpu.findings.iter().any(is_meant) {
        return;
    }
    let cpu = Arc::make_mut(cpu);
    for finding in cpu.findings.iter_mut().filter(|finding| is_meant(finding)) {
        finding.recommendation.push_str(&sentence);
    }
    if matches!(cpu.diagnosis.ground, Ground::Finding(category) if is_about_it(category)) {
        cpu.diagnosis.recommendation.push_str(&sentence);
    }
}

fn scaled(share: &Share, by: f64) -> Share {
    Share { percent: share.percent * by, interval: share.interval.map(|(low, high)| (low * by, high * by)) }
}
