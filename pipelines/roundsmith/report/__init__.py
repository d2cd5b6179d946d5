"""What a round leaves to read: summary.json for programs, report.html for people."""
