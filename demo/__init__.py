"""The guided tour: a sample backend, a customer and a phone, against every role of the real system."""
