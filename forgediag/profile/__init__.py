"""What one generation took: from progress answers, console events and memory curves to jobs with their phases."""
