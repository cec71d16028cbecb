//! Significant changes of a runtime's or a library's functions, which are one cause: another version of it, or more or
//! less use of it.

use super::comparison::{ChangedFunction, Group, Membership};
use super::join::{Joined, KeyId};
use crate::verdict::catalogue::{Rules, origin_of};
use crate::verdict::category::{Origin, Runtime};
use crate::verdict::names::{Frame, library_name, version_of_file};

/// `None` for the application's own functions.
pub(super) fn membership(rules: &Rules, joined: &Joined<'_>, id: KeyId) -> Option<Membership> {
    let files = [0, 1].map(|side| joined.file(id, side));
    let file = files.iter().rev().copied().find(|file| !file.is_empty()).unwrap_or("");
    let frame = Frame::of(joined.name(id), file);
    let origin = origin_of(rules, &frame, file);
    let name = match origin {
        Origin::App => return None,
        Origin::Library => library_name(&frame),
        Origin::Runtime => runtime_name(frame.own).to_owned(),
    };
    let version = |file: &str| version_of_file(file).filter(|_| origin == Origin::Library).map(str::to_owned);
    Some(Membership { name, origin, versions: files.map(version) })
}

fn runtime_name(runtime: Option<Runtime>) -> &'static str {
    match runtime {
        Some(Runtime::Jvm) => "Java runtime",
        Some(Runtime::Go) => "Go runtime",
        Some(Runtime::Python) => "Python runtime",
        Some(Runtime::Ruby) => "Ruby runtime",
        Some(Runtime::Node) => "Node.js runtime",
        Some(Runtime::Dotnet) => ".NET runtime",
        Some(Runtime::Php) => "PHP runtime",
        Some(Runtime::Rust) => "Rust standard library",
        Some(Runtime::Kernel) => "kernel",
        Some(Runtime::Native) | None => "system libraries",
    }
}

/// The groups of the significant rows, the largest change first.
pub(super) fn of(rows: &[ChangedFunction]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for row in rows.iter().filter(|row| row.is_significant()) {
        let Some(member) = &row.group else { continue };
        let at = groups.iter().position(|group| group.of.name == member.name).unwrap_or_else(|| {
            groups.push(Group { of: member.clone(), functions: 0, percent: [0.0; 2], adjusted_delta: 0.0 });
            groups.len() - 1
        });
        let Some(group) = groups.get_mut(at) else { continue };
        group.functions += 1;
        group.adjusted_delta += row.adjusted_delta;
        for (sum, percent) in group.percent.iter_mut().zip(row.percent) {
            *sum += percent;
        }
        for (known, version) in group.of.versions.iter_mut().zip(&member.versions) {
            *known = known.take().or_else(|| version.clone());
        }
    }
    groups.sort_by(|a, b| {
        b.adjusted_delta.abs().total_cmp(&a.adjusted_delta.abs()).then_with(|| a.of.name.cmp(&b.of.name))
    });
    groups
}
