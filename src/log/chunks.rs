use crate::model::PackId;
pub(super) const PACKS: &str = "packs/";
pub(super) fn pack_key(pack: PackId) -> String {
    format!("{PACKS}{pack}")
}
pub(super) fn parse_pack_key(_: &str) -> Option<PackId> {
    None
}
pub struct ChunkReader;
