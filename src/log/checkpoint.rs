impl super::Log {
    pub(super) async fn load_checkpoint(&mut self) -> Result<(), super::LogError> {
        Ok(())
    }
}
