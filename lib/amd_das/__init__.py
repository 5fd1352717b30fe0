"""AMD-DAS: outline and measure intraparenchymal hemorrhage on non-contrast head CT.

Read the packages in the order of the data's journey: ``reading`` → ``preprocessing`` → ``segmentation`` →
``inference`` → ``measurement`` → ``output``. Importing this package does nothing.
"""

__version__ = "0.1.0"
