"""What a study answers, with its uncertainty: the best calibration, in numbers, words and a picture."""
