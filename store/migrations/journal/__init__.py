"""Steps of the journal, in order. A step is never edited once it has been released."""
