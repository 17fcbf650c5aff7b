"""Disguised networks, and how well their structure is found."""

from .disguise import disguise as disguise
from .key import Answer as Answer, AnswerKey as AnswerKey
from .score import Score as Score, score as score
