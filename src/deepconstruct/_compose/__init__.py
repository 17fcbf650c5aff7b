"""Networks and claims made of others: each operation joins layers and claims together."""

from .parallel import fan_out as fan_out, parallel as parallel
from .realify import realify as realify
from .repeat import repeat as repeat
from .series import series as series
