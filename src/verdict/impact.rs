//! What an allocation costs the processor.

use super::confidence::{Share, highest_severity};
use super::findings::Assessment;
use super::{Category, diagnosis::Ground};
use crate::kernel::ProfileType;

/// Weighs the findings of an alloc profile by what allocation costs the app's cpu: impact = share × (collector +
/// allocation share of cpu), and severity is taken from the impact. Nothing changes where the cpu profile is no alloc
/// profile's companion or cannot show the collector.
pub fn weigh_allocations(alloc: &mut Assessment, cpu: &Assessment) {
    let enough = cpu.confidence.is_none_or(|c| c != super::Confidence::Insufficient);
    if alloc.kind != ProfileType::Alloc || cpu.kind != ProfileType::Cpu || !cpu.has_data() || !enough {
        return;
    }
    let costs = [Category::GcPressure, Category::Allocation];
    if costs.iter().any(|c| cpu.finding(*c).is_some_and(|f| !f.observable)) {
        return;
    }
    let cost: f64 = costs.iter().filter_map(|c| cpu.finding(*c)).map(|f| f.share.percent / 100.0).sum();
    let cost = cost.min(1.0);
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

fn scaled(share: &Share, by: f64) -> Share {
    Share { percent: share.percent * by, interval: share.interval.map(|(low, high)| (low * by, high * by)) }
}
