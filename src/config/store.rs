use super::reader::Reader;

/// Section `store`: the embedded profile store.
#[derive(Debug, Clone, Copy)]
pub struct StoreSettings {
    /// Days that profiles are kept.
    pub retention_days: u32,
    /// Days that whole hours are kept, merged; no fewer.
    pub rollup_days: u32,
}

impl StoreSettings {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        // A day is two partitions, and each of its hours is looked at in each round: of a year and 50 apps within a second.
        let retention_days = reader.number("store.retention_days", 1..=366_u32);
        let rollup_days = reader.number("store.rollup_days", 1..=3_650_u32);
        if let (Some(profiles), Some(rollups)) = (retention_days, rollup_days)
            && rollups < profiles
        {
            reader.refuse("store.rollup_days", format!("must not be under store.retention_days, {profiles}"));
        }
        Some(Self { retention_days: retention_days?, rollup_days: rollup_days? })
    }
}
