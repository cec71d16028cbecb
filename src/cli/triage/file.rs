//! Judges a file.

use std::path::Path;

use crate::bor::LinkSettings;
use crate::bor::triage::{Triage, TriageBody};
use crate::cli::profile_file::{FileError, ReadFile, name_of};
use crate::kernel::{AppName, CostPerCoreHour, ProfileType};
use crate::verdict::Rules;

/// The triage of a file.
pub(in crate::cli) fn judge(
    rules: &Rules,
    path: &Path,
    app: Option<AppName>,
    kind: Option<ProfileType>,
    top: usize,
    cost: Option<CostPerCoreHour>,
) -> Result<TriageBody, FileError> {
    let file = ReadFile::at(path, kind)?;
    let chosen = file.choose(kind);
    if chosen.is_empty() {
        return Err(file.lacks(path, kind));
    }
    let app = app.unwrap_or_else(|| name_of(path));
    // Agents also send sample types that they did not record.
    let (recorded, empty): (Vec<_>, Vec<_>) = chosen.into_iter().partition(|(_, merged)| merged.profile.total(0) != 0);
    let profiles = if recorded.is_empty() { empty } else { recorded };
    let triage = Triage { cost, ..Triage::of_profiles(rules, &app, file.window, profiles, top) };
    Ok(TriageBody::of(&triage, &LinkSettings::default()))
}

#[cfg(test)]
mod real;
#[cfg(test)]
mod tests;
