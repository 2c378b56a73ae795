"""Programs that throw texts at parsers, guided by which lines they reach (Atheris). Tests run each for a while."""
