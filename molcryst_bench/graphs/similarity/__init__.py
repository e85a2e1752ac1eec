"""What makes two structures alike: equal geometry, equal molecules, similar frameworks."""
