use super::reader::Reader;
use crate::kernel::CostPerCoreHour;

/// Section `cost`.
#[derive(Debug, Clone, Copy)]
pub struct CostSettings {
    /// What a core costs in an hour; `None`: nothing is said in money.
    pub per_core_hour: Option<CostPerCoreHour>,
}

impl CostSettings {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let rule = "a number, 0 or more: units of money per core and hour";
        let per_core_hour = reader.optional("cost.per_core_hour", rule, |text| text.parse().ok());
        Some(Self { per_core_hour: per_core_hour? })
    }
}
